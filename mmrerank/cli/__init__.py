"""The command line: rank, score, info, processors, demo and doctor. It computes nothing itself."""
