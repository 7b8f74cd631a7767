"""Attention over a packed row: each segment sees the segments in front of it and itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from mmrerank.engine.full_attention import FullAttention
from mmrerank.engine.packing import AttentionUnit, PackedBatch

__all__ = [
    "PACKED",
    "Block",
    "LayerStates",
    "PackedPlan",
    "attention_at",
    "mask_of",
    "packed_attention",
]

# The name under which transformers finds `packed_attention`. It is not registered for masks, so
# models build none and pass None.
PACKED = "mmrerank_packed"

# Masks of up to so many numbers are kept for the next layer, longer ones are made anew.
_MAX_KEPT_MASK = 1 << 20

# Tokens of a long segment that are done at a time: none sees what stands behind its block. On a
# processor small blocks spare up to 3/8 of the products, elsewhere launches cost more than that.
_CPU_BLOCK_TOKENS, _BLOCK_TOKENS = 128, 512

# (keys, values) for each layer, each (1, num_kv_heads, num_tokens, head_dim).
LayerStates: TypeAlias = Sequence[tuple[Tensor, Tensor]]


@dataclass(slots=True)
class PackedPlan:
    """What the attention of each layer needs to know of one packed row.

    past: states of the segments that were computed before, by their places in the tree.
    read_at: (num_read,) int64, ascending: the places of the row that scores are read from, where
    the last layer shall give no others.
    full: how tokens that all see each other attend; that of a runner knows its model's layers.
    kept: states of this row's segments that `batch.keep` asks for; filled layer by layer.
    """

    batch: PackedBatch
    past: Mapping[int, LayerStates]
    read_at: Tensor | None = None
    full: FullAttention = field(default_factory=FullAttention)
    kept: dict[int, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    _masks: dict[Any, Tensor | None] = field(default_factory=dict)

    def keep(self, key: Tensor, value: Tensor) -> None:
        """Keep one layer's keys and values of the segments that later batches need."""
        for place in self.batch.keep:
            start, end = self.batch.spans[place]
            states = key[:, :, start:end].clone(), value[:, :, start:end].clone()
            self.kept.setdefault(place, []).append(states)

    def keys_of(
        self, unit: AttentionUnit, module: Any, key: Tensor, value: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Keys and values that a unit sees, its own last: (1, num_kv_heads, num_seen, head_dim)."""
        spans = [*unit.ranges, (unit.start, unit.end)]
        past = [self.past[place][module.layer_idx] for place in unit.past]
        keys = [*(pair[0] for pair in past), *(key[:, :, a:b] for a, b in spans)]
        values = [*(pair[1] for pair in past), *(value[:, :, a:b] for a, b in spans)]
        if len(keys) == 1:
            return keys[0], values[0]
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)

    def mask(self, block: Block, window: int | None, like: Tensor) -> Tensor | None:
        """(num_own, num_seen) numbers to add, 0 or -inf; None where all is seen."""
        name = (block, window)
        if name not in self._masks:
            mask = mask_of(block, window, like)
            if mask is not None and mask.numel() > _MAX_KEPT_MASK:
                return mask
            self._masks[name] = mask
        return self._masks[name]


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens [first, last) of a unit, which see the unit's keys [0, num_seen)."""

    unit: AttentionUnit
    first: int
    last: int
    num_seen: int
    is_causal: bool


def _blocks(unit: AttentionUnit, is_causal: bool, max_tokens: int) -> list[Block]:
    """One block; of a long segment several, so that masks stay small and skip what is not seen."""
    length = unit.end - unit.start
    if not is_causal or len(unit.lengths) > 1:
        return [Block(unit, 0, length, unit.position + length, is_causal)]
    return [
        Block(unit, first, last, unit.position + last, is_causal)
        for first in range(0, length, max_tokens)
        for last in [min(first + max_tokens, length)]
    ]


def mask_of(
    block: Block, window: int | None, like: Tensor, own_rows: Sequence[int] | None = None
) -> Tensor | None:
    """See `PackedPlan.mask`. own_rows: some of the block's tokens alone."""
    unit, device = block.unit, like.device
    if window is None and len(unit.lengths) == 1:
        if not block.is_causal:
            return None
        if own_rows is None:
            return _behind(block, like)
    lengths = torch.tensor(unit.lengths, device=device)
    owner = torch.repeat_interleave(torch.arange(len(unit.lengths), device=device), lengths)
    starts = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    own = unit.position + torch.arange(len(owner), device=device) - starts  # place in the prompt
    seen = torch.cat([torch.arange(unit.position, device=device), own])[: block.num_seen]
    # -1: what stands in front belongs to all segments of the unit
    seen_owner = torch.cat([owner.new_full((unit.position,), -1), owner])[: block.num_seen]
    own, owner = own[block.first : block.last], owner[block.first : block.last]
    if own_rows is not None:
        own, owner = own[list(own_rows)], owner[list(own_rows)]
    sees = (seen_owner[None, :] < 0) | (owner[:, None] == seen_owner[None, :])
    distance = own[:, None] - seen[None, :]
    if block.is_causal:
        sees &= distance >= 0
    if window is not None:
        sees &= distance.abs() < window
    mask = torch.zeros(sees.shape, dtype=like.dtype, device=device)
    return mask.masked_fill_(~sees, -torch.inf)


def _behind(block: Block, like: Tensor) -> Tensor:
    """The mask of one segment whose tokens see all that stands in front of them."""
    first = block.unit.position + block.first
    shape = block.last - block.first, block.num_seen
    mask = torch.full(shape, -torch.inf, dtype=like.dtype, device=like.device)
    return mask.triu_(first + 1)


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed: PackedPlan,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface over one packed row.

    query: (1, num_heads, num_tokens, head_dim); key, value: the same with num_kv_heads.
    packed: arrives as a further argument of the model's forward, so threads do not share it.
    Returns (1, num_tokens, num_heads, head_dim).
    """
    packed.keep(key, value)
    output = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
    is_plain = softcap is None and dropout == 0.0
    max_tokens = _CPU_BLOCK_TOKENS if query.device.type == "cpu" else _BLOCK_TOKENS
    for unit in packed.batch.units:
        keys, values = packed.keys_of(unit, module, key, value)
        for block in _blocks(unit, module.is_causal, max_tokens):
            rows = slice(unit.start + block.first, unit.start + block.last)
            mask = packed.mask(block, sliding_window, query)
            states = (
                query[:, :, rows],
                keys[:, :, : block.num_seen],
                values[:, :, : block.num_seen],
            )
            own = output[:, rows].transpose(1, 2)
            if mask is None and is_plain and packed.full(module, *states, scaling, own):
                continue
            own.copy_(_attend(*states, mask, scaling, softcap, dropout))
    return output, None


def attention_at(
    places: Tensor,
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    packed: PackedPlan,
    scaling: float,
    sliding_window: int | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The same for some tokens of the row alone.

    places: (num_places,), ascending; query: (1, num_heads, num_places, head_dim), of these tokens.
    Returns (1, num_places, num_heads, head_dim).
    """
    packed.keep(key, value)
    output = torch.empty_like(query).transpose(1, 2)
    wanted = places.tolist()
    first = 0
    for unit in packed.batch.units:
        last = bisect_left(wanted, unit.end, lo=first)
        if last == first:
            continue
        keys, values = packed.keys_of(unit, module, key, value)
        block = Block(unit, 0, unit.end - unit.start, keys.shape[2], module.is_causal)
        own = [place - unit.start for place in wanted[first:last]]
        mask = mask_of(block, sliding_window, query, own)
        seen = _attend(query[:, :, first:last], keys, values, mask, scaling, None, dropout)
        output[:, first:last] = seen.transpose(1, 2)
        first = last
    return output


def _attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    softcap: float | None,
    dropout: float,
) -> Tensor:
    """(1, num_heads, num_own, head_dim). softcap: bound of the logits before the softmax.
    dropout: share of the weights that are left out, in training.
    """
    has_groups = query.shape[1] != keys.shape[1]
    if softcap is None:
        return scaled_dot_product_attention(
            query,
            keys,
            values,
            attn_mask=mask,
            dropout_p=dropout,
            scale=scaling,
            enable_gqa=has_groups,
        )
    if has_groups:
        repeats = query.shape[1] // keys.shape[1]
        keys = keys.repeat_interleave(repeats, dim=1)
        values = values.repeat_interleave(repeats, dim=1)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    logits = torch.tanh(query @ keys.transpose(2, 3) * scale / softcap) * softcap
    if mask is not None:
        logits = logits + mask
    weights = torch.softmax(logits, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.dropout(weights, dropout, train=dropout > 0.0) @ values


AttentionInterface.register(PACKED, packed_attention)
