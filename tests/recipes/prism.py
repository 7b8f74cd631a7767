"""Prism-Reranker: one prompt, `yes` minus `no` behind it.

Source: verify_cross_encoder.py of the vendor and the model card of
infgrad/Prism-Qwen3.5-Reranker-4B, section "Quickstart". Both end with a probability; here the
log-odds before it are returned.
"""

from __future__ import annotations

from pathlib import Path

from ._causal import ids_of, last_logits, tokenizer_of

__all__ = ["prompt", "score"]

_INSTRUCTION = """Judge if the document is relevant to the query. Reply "yes" or "no".
On "yes", also emit:
<contribution>One sentence covering every core point the document contributes to the query, \
without elaboration.</contribution>
<evidence>Self-contained rewrite of the query-relevant content. Rules:
- Faithful: rephrase only; add or infer nothing.
- Self-contained: evidence alone must fully answer the query.
- Concise: drop query-irrelevant background.
- Verbatim (no translation): proper nouns, terms, abbreviations, numbers, dates, code, URLs.
- Output language: multilingual doc → query's language; else doc's language.</evidence>"""


def prompt(query: str, document: str) -> str:
    """What the vendor's PROMPT_TEMPLATE makes of a pair."""
    return (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query "
        "and the Instruct provided. <|im_end|>\n"
        f"<|im_start|>user\n<Instruct>: {_INSTRUCTION}\n<Query>: {query}\n"
        f"<Document>: {document}<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def score(folder: Path, query: str, document: str) -> float:
    """Log-odds of yes against no for one pair, unpadded."""
    logits = last_logits(folder, ids_of(folder, prompt(query, document)))
    yes, no = (tokenizer_of(folder).convert_tokens_to_ids(word) for word in ("yes", "no"))
    return float(logits[yes] - logits[no])
