"""GTE rerankers by their arithmetic, with no class of anybody's.

Source: modeling.py of Alibaba-NLP/new-impl (embeddings, rotary positions with "ntk" scaling, joint
projections, gated MLP, norms behind the residuals, pooler) and the usage section of the model card
of Alibaba-NLP/gte-multilingual-reranker-base.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear
from transformers import PreTrainedTokenizerFast

from mmrerank.specs.st_format import read_json

__all__ = ["logit"]


def logit(folder: Path, query: str, document: str, *, max_length: int = 512) -> float:
    """Of one pair, unpadded."""
    said = read_json(folder / "config.json")
    weights = load_file(folder / "model.safetensors")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    both = tokenizer([query], [document], truncation=True, max_length=max_length)
    ids = torch.tensor(both["input_ids"][0])
    size = said["hidden_size"] // said["num_attention_heads"]
    angles = torch.arange(len(ids))[:, None] * _frequencies(said, size)[None]
    turns = angles.cos().repeat(1, 2)[None], angles.sin().repeat(1, 2)[None]

    def normed(states: Tensor, name: str) -> Tensor:
        own = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return layer_norm(states, states.shape[-1:], *own, said["layer_norm_eps"])

    def product(states: Tensor, name: str) -> Tensor:
        return linear(states, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    states = weights["new.embeddings.word_embeddings.weight"][ids]
    states = states + weights["new.embeddings.token_type_embeddings.weight"][0]
    states = normed(states, "new.embeddings.LayerNorm")
    for number in range(said["num_hidden_layers"]):
        layer = f"new.encoder.layer.{number}"
        joint = product(states, f"{layer}.attention.qkv_proj").chunk(3, dim=-1)
        asked, key, value = (part.unflatten(-1, (-1, size)).transpose(0, 1) for part in joint)
        seen = (_turned(asked, turns) @ _turned(key, turns).transpose(1, 2)) / size**0.5
        mixed = (seen.softmax(dim=-1) @ value).transpose(0, 1).flatten(1)
        states = normed(states + product(mixed, f"{layer}.attention.o_proj"), f"{layer}.attn_ln")
        up, gate = product(states, f"{layer}.mlp.up_gate_proj").chunk(2, dim=-1)
        gated = product(gelu(gate) * up, f"{layer}.mlp.down_proj")
        states = normed(states + gated, f"{layer}.mlp_ln")
    first = product(states[:1], "new.pooler.dense").tanh()
    return float(product(first, "classifier"))


def _frequencies(said: dict, size: int) -> Tensor:
    theta, scaling = said["rope_theta"], said["rope_scaling"]
    factor = scaling["factor"] if scaling else 1.0
    powers = torch.arange(0, size, 2) / size
    return 1.0 / (theta * factor) ** powers / factor ** (2 / size)


def _turned(states: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = turns
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat([-second, first], dim=-1) * sin
