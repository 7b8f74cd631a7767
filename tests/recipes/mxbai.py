"""mxbai-rerank v2 by the steps of the vendor's library, which tokenises piece by piece.

Source: mxbai_rerank/mxbai_rerank_v2.py, as quoted in vLLM's tests of this model.
"""

from __future__ import annotations

from pathlib import Path

from ._causal import ids_of, last_logits

__all__ = ["score"]

_PREFIX = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    "<|im_end|>\n<|im_start|>user\n"
)
_TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. For "
    "each query-document pair, carefully analyze the semantic relationship between them, then "
    "provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:"
)
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"


def score(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """The logit of `1` less that of `0`."""
    asked = f"query: {query}"
    if instruction:
        asked = f"instruction: {instruction}\n{asked}"
    pieces = (_PREFIX, asked, "\n", f"document: {document}", "\n", _TASK, _SUFFIX)
    logits = last_logits(folder, [token for piece in pieces for token in ids_of(folder, piece)])
    one, zero = (ids_of(folder, answer)[0] for answer in ("1", "0"))
    return float(logits[one] - logits[zero])
