"""Qwen3-Reranker by the recipe of its model card, with transformers alone.

Source: model card of Qwen/Qwen3-Reranker-0.6B, section "Transformers Usage"; for the conversion to
a classifier, that of tomaarsen/Qwen3-Reranker-0.6B-seq-cls. Both cards end with a probability; here
the log-odds before it are returned.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers import PreTrainedTokenizerBase as Tokenizer

__all__ = ["format_document", "format_query", "score", "score_as_classifier"]

_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_DEFAULT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
_MAX_TOKENS = 8192


def score(folder: Path, query: str, document: str, instruction: str | None = None) -> float:
    """Log-odds of yes against no for one pair, unpadded; the body alone is truncated."""
    tokenizer, model = _load(str(folder))
    ids = _ids(tokenizer, query, document, instruction)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1]
    yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    return float(logits[yes] - logits[no])


def score_as_classifier(
    folder: Path, query: str, document: str, instruction: str | None = None
) -> float:
    """The same of a checkpoint with one label: what its own classifier says."""
    tokenizer, model = _load(str(folder), is_classifier=True)
    ids = _ids(tokenizer, query, document, instruction)
    with torch.inference_mode():
        return float(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, 0])


def format_query(query: str, instruction: str | None = None) -> str:
    """What the card of the conversion has its reader make of a query."""
    return f"{_PREFIX}<Instruct>: {instruction or _DEFAULT_INSTRUCTION}\n<Query>: {query}\n"


def format_document(document: str) -> str:
    """And of a document: the two, joined, are the prompt."""
    return f"<Document>: {document}{_SUFFIX}"


def _ids(tokenizer: Tokenizer, query: str, document: str, instruction: str | None) -> torch.Tensor:
    """(1, num_tokens)."""
    prefix = tokenizer.encode(_PREFIX, add_special_tokens=False)
    suffix = tokenizer.encode(_SUFFIX, add_special_tokens=False)
    text = f"<Instruct>: {instruction or _DEFAULT_INSTRUCTION}\n<Query>: {query}\n"
    body = tokenizer.encode(text + f"<Document>: {document}", add_special_tokens=False)
    body = body[: _MAX_TOKENS - len(prefix) - len(suffix)]
    return torch.tensor([prefix + body + suffix])


@lru_cache(maxsize=4)
def _load(folder: str, *, is_classifier: bool = False) -> tuple[Tokenizer, PreTrainedModel]:
    cls = AutoModelForSequenceClassification if is_classifier else AutoModelForCausalLM
    model = cls.from_pretrained(folder, dtype=torch.float32)
    return AutoTokenizer.from_pretrained(folder), model.eval()
