"""Encoders with a classifier, with transformers alone.

Source: model cards of the cross-encoder organisation and of the vendors, section "Usage with
Transformers": both texts through the tokenizer as a pair, the classifier's logits as they are.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from mmrerank.specs.st_format import read_json

__all__ = ["bge_logits", "chain_logits", "logits"]


def logits(
    folder: Path, query: str, document: str, *, trust_remote_code: bool = False
) -> torch.Tensor:
    """Logits (num_labels,) of one pair, unpadded."""
    tokenizer, model = _load(str(folder), trust_remote_code)
    # As lists: an empty text of its own would be taken for no text.
    features = tokenizer([query], [document], truncation=True, max_length=512, return_tensors="pt")
    with torch.inference_mode():
        output: torch.Tensor = model(**features).logits[0]
    return output


def bge_logits(folder: Path, query: str, document: str, *, max_length: int) -> torch.Tensor:
    """As FlagEmbedding encodes a pair: the query cut to 3/4 of `max_length`, then the document.

    Source: FlagEmbedding, inference/reranker/encoder_only/base.py.
    """
    tokenizer, model = _load(str(folder), False)
    both = [
        tokenizer(text, add_special_tokens=False, truncation=True, max_length=limit)["input_ids"]
        for text, limit in ((query, max_length * 3 // 4), (document, max_length))
    ]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    room = max_length - len(both[0]) - 4
    ids = [bos, *both[0], eos, eos, *both[1][:room], eos]
    with torch.inference_mode():
        output: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0]
    return output


def chain_logits(folder: Path, query: str, document: str) -> torch.Tensor:
    """First token of the encoder, then Dense with GELU, LayerNorm, Dense; (1,)."""
    from safetensors.torch import load_file

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    features = tokenizer([query], [document], return_tensors="pt")
    first, norm, last = (
        load_file(folder / name / "model.safetensors")
        for name in ("2_Dense", "3_LayerNorm", "4_Dense")
    )
    size = read_json(folder / "3_LayerNorm" / "config.json")["dimension"]
    with torch.inference_mode():
        state = model(**features).last_hidden_state[:, 0]
        state = nn.functional.gelu(state @ first["linear.weight"].T)
        state = nn.functional.layer_norm(state, (size,), norm["norm.weight"], norm["norm.bias"])
        return (state @ last["linear.weight"].T + last["linear.bias"])[0]


@lru_cache(maxsize=16)
def _load(folder: str, trust_remote_code: bool) -> tuple[Any, Any]:
    trust = {"trust_remote_code": trust_remote_code}
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, **trust)
    return AutoTokenizer.from_pretrained(folder, **trust), model.eval()
