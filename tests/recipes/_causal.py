"""What the recipes of language models share: a checkpoint in float32, one prompt at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

__all__ = ["ids_of", "last_logits", "tokenizer_of"]


def tokenizer_of(folder: Path) -> Tokenizer:
    return _tokenizer(str(folder))


def ids_of(folder: Path, text: str, *, special_tokens: bool = False) -> list[int]:
    """Token ids of one piece of text, tokenised by itself."""
    ids: list[int] = tokenizer_of(folder)(text, add_special_tokens=special_tokens)["input_ids"]
    return ids


def last_logits(folder: Path, ids: Sequence[int]) -> Tensor:
    """(vocab_size,) logits behind the last token, unpadded."""
    tokens = torch.tensor([list(ids)])
    with torch.inference_mode():
        output = _model(str(folder))(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    logits: Tensor = output.logits[0, -1]
    return logits


@lru_cache(maxsize=16)
def _tokenizer(folder: str) -> Tokenizer:
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


@lru_cache(maxsize=16)
def _model(folder: str) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
