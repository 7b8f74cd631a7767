"""Attention of a few tokens without keys and values of all: their projections change sides.

A key is W·h + b of a token's state h, so query·key = (Wᵀ·query)·h + query·b: one product a query in
place of one a token. A sum of values is W times the same sum of states.
"""

from __future__ import annotations

from bisect import bisect_left

import torch
from torch import Tensor, nn

from mmrerank.engine.attention import Block, PackedPlan, mask_of

__all__ = ["absorbed_attention_at", "can_absorb"]

# With more tokens read than one in so many, keys and values are the cheaper way.
_TOKENS_A_PLACE = 4


def can_absorb(
    places: Tensor, states: Tensor, key: nn.Module, value: nn.Module, packed: PackedPlan
) -> bool:
    """Whether `absorbed_attention_at` may stand in here, and pays. states: as it takes them."""
    # An adapter around a layer has more than a weight.
    is_plain = type(key) is nn.Linear and type(value) is nn.Linear
    stands_alone = not packed.batch.keep and not any(
        unit.past or unit.ranges for unit in packed.batch.units
    )
    # Of half precision the other order of rounding would show in scores.
    is_exact = states.dtype in (torch.float32, torch.float64)
    pays = len(places) * _TOKENS_A_PLACE <= states.shape[1]
    return is_plain and stands_alone and is_exact and pays


def absorbed_attention_at(
    places: Tensor,
    query: Tensor,
    states: Tensor,
    key: nn.Linear,
    value: nn.Linear,
    *,
    packed: PackedPlan,
    scaling: float,
    dropout: float = 0.0,
) -> Tensor:
    """`attention_at` for layers that read both ways, without rotary positions or a window.

    places: (num_places,), ascending; query: (1, num_heads, num_places, head_dim), of these tokens;
    states: (1, num_tokens, hidden_size), what keys and values are made of.
    Returns (1, num_places, num_heads, head_dim).
    """
    num_heads, _, head_dim = query.shape[1:]
    key_weight, value_weight = (
        layer.weight.view(num_heads, head_dim, -1) for layer in (key, value)
    )
    moved = torch.einsum("hpd,hdm->phm", query[0], key_weight)
    shift = torch.einsum("hpd,hd->ph", query[0], _bias(key, num_heads))
    wanted = places.tolist()
    sums, totals = [], []
    first = 0
    for unit in packed.batch.units:
        last = bisect_left(wanted, unit.end, lo=first)
        if last == first:
            continue
        own = states[0, unit.start : unit.end]
        logits = (moved[first:last] @ own.T + shift[first:last, :, None]) * scaling
        block = Block(unit, 0, len(own), len(own), is_causal=False)
        mask = mask_of(block, None, logits, [place - unit.start for place in wanted[first:last]])
        if mask is not None:
            logits = logits + mask[:, None]
        weights = torch.softmax(logits, dim=-1, dtype=torch.float32).to(own.dtype)
        weights = torch.dropout(weights, dropout, train=dropout > 0.0)
        sums.append(weights @ own)
        totals.append(weights.sum(dim=-1, keepdim=True))
        first = last
    mixed = torch.einsum("phm,hdm->phd", torch.cat(sums), value_weight)
    return (mixed + torch.cat(totals) * _bias(value, num_heads))[None]


def _bias(layer: nn.Linear, num_heads: int) -> Tensor:
    """(num_heads, head_dim), of a layer whose output is the heads side by side."""
    bias = layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
    return bias.view(num_heads, -1)
