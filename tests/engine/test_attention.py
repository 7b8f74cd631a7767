"""Attention over packed rows equals attention over each prompt alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mmrerank.engine import TokenBudget
from mmrerank.engine.attention import LayerStates, PackedPlan, attention_at, packed_attention
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.prefix_tree import build_tree, flat_tree

HEADS, KV_HEADS, DIM, SCALING = 4, 2, 8, 0.3


@dataclass(eq=False)
class Module:
    """What attention asks of the module that calls it."""

    is_causal: bool
    layer_idx: int = 0


def states_of(row: np.ndarray, heads: int, seed: int) -> Tensor:
    """(1, heads, tokens, dim): the same beginning gives the same states, as in a causal model."""
    torch.manual_seed(seed)
    table = torch.randn(4, 80, heads, DIM)
    mixed = torch.stack([table[symbol, place] for place, symbol in enumerate(row)])
    seen = torch.cumsum(mixed, dim=0) / 4
    return seen.transpose(0, 1)[None]


def alone(row: np.ndarray, *, is_causal: bool, window: int | None) -> Tensor:
    """(tokens, heads, dim) of one prompt by itself."""
    query, key, value = (
        states_of(row, heads, seed) for heads, seed in ((HEADS, 0), (KV_HEADS, 1), (KV_HEADS, 2))
    )
    places = torch.arange(len(row))
    distance = places[:, None] - places[None, :]
    sees = torch.ones(len(row), len(row), dtype=torch.bool)
    if is_causal:
        sees &= distance >= 0
    if window is not None:
        sees &= distance.abs() < window
    output = scaled_dot_product_attention(
        query, key, value, attn_mask=sees, scale=SCALING, enable_gqa=True
    )
    return output[0].transpose(0, 1)


ROWS = st.lists(
    st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=6).map(
        lambda units: np.repeat(np.array(units), 12)
    ),
    min_size=1,
    max_size=6,
)


@given(ROWS, st.integers(1, 150), st.sampled_from([None, 5, 30]), st.booleans())
def test_each_token_sees_its_own_prompt_and_nothing_else(rows, max_tokens, window, is_causal):
    module = Module(is_causal)
    tree = build_tree(rows) if is_causal else flat_tree([len(row) for row in rows])
    past: dict[int, LayerStates] = {}
    for batch in pack_batches(tree, len(rows), TokenBudget(max_tokens=max_tokens)):
        packed = [
            torch.cat(
                [
                    states_of(rows[segment.row], heads, seed)[:, :, segment.start : segment.end]
                    for segment in (tree.segments[place] for place in batch.spans)
                ],
                dim=2,
            )
            for heads, seed in ((HEADS, 0), (KV_HEADS, 1), (KV_HEADS, 2))
        ]
        plan = PackedPlan(batch, past)
        query, key, value = packed
        output, _ = packed_attention(
            module, query, key, value, None, packed=plan, scaling=SCALING, sliding_window=window
        )
        some = torch.tensor([start for start, _ in batch.spans.values()])
        few = attention_at(
            some,
            module,
            query[:, :, some],
            key,
            value,
            packed=PackedPlan(batch, past),
            scaling=SCALING,
            sliding_window=window,
        )
        torch.testing.assert_close(few[0], output[0, some], atol=1e-5, rtol=0)
        for place, (start, end) in batch.spans.items():
            segment = tree.segments[place]
            expected = alone(rows[segment.row], is_causal=is_causal, window=window)
            torch.testing.assert_close(
                output[0, start:end], expected[segment.start : segment.end], atol=1e-5, rtol=0
            )
        past.update(plan.kept)


@pytest.mark.parametrize("window", [None, 100])
def test_long_segment_is_done_in_blocks(window, monkeypatch):
    from mmrerank.engine import attention

    monkeypatch.setattr(attention, "_CPU_BLOCK_TOKENS", 16)
    row = np.array([0, 1, 2, 1] * 20)
    (batch,) = pack_batches(flat_tree([len(row)]), 1, TokenBudget())
    output, _ = packed_attention(
        Module(True),
        states_of(row, HEADS, 0),
        states_of(row, KV_HEADS, 1),
        states_of(row, KV_HEADS, 2),
        None,
        packed=PackedPlan(batch, {}),
        scaling=SCALING,
        sliding_window=window,
    )
    torch.testing.assert_close(
        output[0], alone(row, is_causal=True, window=window), atol=1e-5, rtol=0
    )
