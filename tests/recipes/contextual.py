"""Contextual AI's reranker v2 by its model card, without the rounding to bfloat16 at the end.

Source: model card of ContextualAI/ctxl-rerank-v2-instruct-multilingual-6b, "Transformers Usage".
"""

from __future__ import annotations

from pathlib import Path

from ._causal import ids_of, last_logits

__all__ = ["score"]


def score(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """The logit of the vocabulary's entry 0."""
    asked = f" {instruction}" if instruction else ""
    prompt = (
        "Check whether a given document contains information helpful to answer the query.\n"
        f"<Document> {document}\n<Query> {query}{asked} ??"
    )
    return float(last_logits(folder, ids_of(folder, prompt, special_tokens=True))[0])
