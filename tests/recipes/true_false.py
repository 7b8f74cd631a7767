"""Language models asked for `true` or `false`: mteb's wrapper, and FollowIR's own prompt.

Source: mteb, models/rerankers_custom.py, classes LlamaReranker and FollowIRReranker; model card of
jhu-clsp/FollowIR-7B.
"""

from __future__ import annotations

from math import exp
from pathlib import Path

from ._causal import ids_of, last_logits, tokenizer_of

__all__ = ["score_followir", "score_llama"]


def score_llama(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """P(true) over true and false."""
    return _score(
        folder,
        "Determine if the following document is relevant to the query (true/false).\n\n"
        f"Query: {_asked(query, instruction)}\nDocument: {document}\nRelevant: ",
    )


def score_followir(
    folder: Path, query: str, document: str, instruction: str | None = None
) -> float:
    """The same with another prompt, which begins with a <s> of its own."""
    return _score(
        folder,
        "<s> [INST] You are an expert Google searcher, whose job is to determine if the following "
        "document is relevant to the query (true/false). Answer using only one word, one of those "
        f"two choices.\n\nQuery: {_asked(query, instruction)}\nDocument: {document}\nRelevant "
        '(only output one word, either "true" or "false"): [/INST] ',
    )


def _asked(query: str, instruction: str | None) -> str:
    return query if instruction is None else f"{query} {instruction}".strip()


def _score(folder: Path, prompt: str) -> float:
    logits = last_logits(folder, ids_of(folder, prompt, special_tokens=True))
    vocabulary = tokenizer_of(folder).get_vocab()
    return 1 / (1 + exp(float(logits[vocabulary["false"]] - logits[vocabulary["true"]])))
