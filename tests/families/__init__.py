"""What each family of rerankers has to show: its prompts and its scores, on tiny checkpoints."""
