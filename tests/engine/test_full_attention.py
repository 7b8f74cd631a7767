"""Attention without a mask by plain exponentials equals torch's, and knows when it may not."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mmrerank.engine import full_attention
from mmrerank.engine.full_attention import FullAttention

States = tuple[Tensor, Tensor, Tensor]


def states_of(num_heads: int, num_tokens: int, *, dim: int = 8, gain: float = 1.0) -> States:
    """Queries, keys and values as layers give them: heads side by side in memory."""
    torch.manual_seed(num_tokens)
    query, key, value = (
        torch.randn(1, num_tokens, num_heads, dim).transpose(1, 2) for _ in range(3)
    )
    return query * gain, key, value


def attend(attention: FullAttention, module: nn.Module, states: States) -> Tensor | None:
    output = torch.full_like(states[0], torch.nan)
    with torch.inference_mode():
        return output if attention(module, *states, 0.3, output) else None


def in_float64(states: States) -> Tensor:
    query, key, value = (part.double() for part in states)
    return scaled_dot_product_attention(query, key, value, scale=0.3).float()


@given(st.integers(1, 5), st.integers(24, 300), st.floats(0.01, 8.0))
def test_equals_the_softmax(num_heads, num_tokens, gain):
    states = states_of(num_heads, num_tokens, gain=gain)
    output = attend(FullAttention(), nn.Identity(), states)
    assert output is not None
    torch.testing.assert_close(output, in_float64(states), atol=2e-5, rtol=0)


@pytest.mark.parametrize("shift", [200.0, -200.0])
def test_logits_that_no_exponential_holds_are_left_to_torch(shift):
    """A softmax is the same wherever its logits lie; exponentials of 200 and -200 are not there."""
    query, key, value = states_of(2, 40)
    query[..., 0], key[..., 0] = 1.0, shift / 0.3
    attention, module = FullAttention(), nn.Identity()
    assert attend(attention, module, (query, key, value)) is None
    assert attend(attention, module, states_of(2, 40)) is None, "the layer is not tried again"
    assert attend(attention, nn.Identity(), states_of(2, 40)) is not None, "others are"


def test_not_a_number_is_left_to_torch():
    query, key, value = states_of(2, 40)
    query[0, 1, 3, 2] = torch.nan
    assert attend(FullAttention(), nn.Identity(), (query, key, value)) is None


@pytest.mark.parametrize(
    "states",
    [
        states_of(2, full_attention._LEAST_TOKENS - 1),
        tuple(part.bfloat16() for part in states_of(2, 40)),
        (states_of(4, 40)[0], *states_of(2, 40)[1:]),
    ],
    ids=["few tokens", "half precision", "heads that share keys"],
)
def test_what_it_is_not_made_for_is_left_to_torch(states):
    assert attend(FullAttention(), nn.Identity(), states) is None


def test_what_takes_much_memory_is_left_to_torch(monkeypatch):
    monkeypatch.setattr(full_attention, "_MAX_LOGITS", 2 * 40 * 40)
    assert attend(FullAttention(), nn.Identity(), states_of(2, 40)) is not None
    assert attend(FullAttention(), nn.Identity(), states_of(2, 41)) is None


def test_gradients_are_left_to_torch():
    states = states_of(2, 40)
    assert not FullAttention()(nn.Identity(), *states, 0.3, torch.empty_like(states[0]))


def test_can_be_copied_as_models_are():
    attention = FullAttention()
    for other in (copy.deepcopy(attention), pickle.loads(pickle.dumps(attention))):
        assert attend(other, nn.Identity(), states_of(2, 40)) is not None
