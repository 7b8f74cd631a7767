"""Encoders of vendors' own Python files by their arithmetic, with no class of anybody's.

Source: modeling.py of Alibaba-NLP/new-impl (rotary positions with "ntk" scaling, joint projections,
gated MLP, norms behind the residuals, pooler); modeling_xlm_roberta.py, embedding.py, block.py,
mha.py and mlp.py of jinaai/jina-reranker-v2-base-multilingual (positions counted from behind the
padding id, joint projection, norms behind the residuals, head of two layers). Both texts go through
the tokenizer as a pair, as in the usage sections of the model cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear
from transformers import PreTrainedTokenizerFast

from mmrerank.specs.st_format import read_json

__all__ = ["gte_logit", "jina_v2_logit"]


def gte_logit(folder: Path, query: str, document: str, *, max_length: int = 512) -> float:
    """Of one pair, unpadded."""
    model = _Weights.of(folder)
    ids = _ids(folder, query, document, max_length)
    frequencies = _frequencies(model.said, model.head_dim)
    angles = torch.arange(len(ids))[:, None] * frequencies[None]
    states = model["new.embeddings.word_embeddings.weight"][ids]
    states = states + model["new.embeddings.token_type_embeddings.weight"][0]
    states = model.norm(states, "new.embeddings.LayerNorm")
    for number in range(model.said["num_hidden_layers"]):
        layer = f"new.encoder.layer.{number}"
        query_at, key, value = model.heads(states, f"{layer}.attention.qkv_proj")
        mixed = model.attention(_turned(query_at, angles), _turned(key, angles), value)
        states = states + model.product(mixed, f"{layer}.attention.o_proj")
        states = model.norm(states, f"{layer}.attn_ln")
        up, gate = model.product(states, f"{layer}.mlp.up_gate_proj").chunk(2, dim=-1)
        states = states + model.product(gelu(gate) * up, f"{layer}.mlp.down_proj")
        states = model.norm(states, f"{layer}.mlp_ln")
    first = model.product(states[:1], "new.pooler.dense").tanh()
    return float(model.product(first, "classifier"))


def jina_v2_logit(folder: Path, query: str, document: str, *, max_length: int = 512) -> float:
    """Of one pair, unpadded."""
    model = _Weights.of(folder)
    ids = _ids(folder, query, document, max_length)
    places = torch.arange(len(ids)) + model.said["pad_token_id"] + 1
    states = model["roberta.embeddings.word_embeddings.weight"][ids]
    states = states + model["roberta.embeddings.position_embeddings.weight"][places]
    states = states + model["roberta.embeddings.token_type_embeddings.weight"][0]
    states = model.norm(states, "roberta.emb_ln")
    for number in range(model.said["num_hidden_layers"]):
        layer = f"roberta.encoder.layers.{number}"
        mixed = model.attention(*model.heads(states, f"{layer}.mixer.Wqkv"))
        states = states + model.product(mixed, f"{layer}.mixer.out_proj")
        states = model.norm(states, f"{layer}.norm1")
        inner = gelu(model.product(states, f"{layer}.mlp.fc1"))
        states = model.norm(states + model.product(inner, f"{layer}.mlp.fc2"), f"{layer}.norm2")
    first = model.product(states[:1], "classifier.dense").tanh()
    return float(model.product(first, "classifier.out_proj"))


@dataclass(frozen=True)
class _Weights:
    said: dict[str, Any]
    tensors: dict[str, Tensor]

    @classmethod
    def of(cls, folder: Path) -> _Weights:
        said = {"layer_norm_eps": 1e-12, **read_json(folder / "config.json")}
        return cls(said, load_file(folder / "model.safetensors"))

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    @property
    def head_dim(self) -> int:
        return int(self.said["hidden_size"] // self.said["num_attention_heads"])

    def product(self, states: Tensor, name: str) -> Tensor:
        return linear(states, self[f"{name}.weight"], self.tensors.get(f"{name}.bias"))

    def norm(self, states: Tensor, name: str) -> Tensor:
        own = self[f"{name}.weight"], self[f"{name}.bias"]
        return layer_norm(states, states.shape[-1:], *own, self.said["layer_norm_eps"])

    def heads(self, states: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (heads, tokens, head_dim)."""
        joint = self.product(states, name).chunk(3, dim=-1)
        query, key, value = (p.unflatten(-1, (-1, self.head_dim)).transpose(0, 1) for p in joint)
        return query, key, value

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        seen = (query @ key.transpose(1, 2) / self.head_dim**0.5).softmax(dim=-1)
        return (seen @ value).transpose(0, 1).flatten(1)


def _ids(folder: Path, query: str, document: str, max_length: int) -> Tensor:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    both = tokenizer([query], [document], truncation=True, max_length=max_length)
    return torch.tensor(both["input_ids"][0])


def _frequencies(said: dict[str, Any], head_dim: int) -> Tensor:
    factor = said["rope_scaling"]["factor"] if said["rope_scaling"] else 1.0
    powers = torch.arange(0, head_dim, 2) / head_dim
    frequencies: Tensor = 1.0 / (said["rope_theta"] * factor) ** powers / factor ** (2 / head_dim)
    return frequencies


def _turned(states: Tensor, angles: Tensor) -> Tensor:
    cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat([-second, first], dim=-1) * sin
