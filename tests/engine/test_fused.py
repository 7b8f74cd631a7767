"""GELU and the residual within oneDNN's products: the model's own layers, in fewer passes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.activations import ACT2FN

from mmrerank.engine import TokenBudget, fused
from mmrerank.engine.attention import PackedPlan
from mmrerank.engine.fused import FusedBerts
from mmrerank.engine.linear import FastLinears, is_helped
from mmrerank.engine.packed import packed_attention_of
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.prefix_tree import flat_tree
from mmrerank.models.architectures import LAST_LAYER
from tests.engine._architectures import make

BERTS = [name for name, kind in LAST_LAYER.items() if kind == "bert"]
LENGTHS = [17, 30, 9]


def encoder_of(name: str) -> Any:
    return make(name).get_decoder().eval()


def states(encoder: Any, *, is_fused: bool) -> Tensor:
    """(num_tokens, hidden_size)"""
    (batch,) = pack_batches(flat_tree(LENGTHS), len(LENGTHS), TokenBudget())
    ids = torch.arange(40, 40 + sum(LENGTHS))[None]
    positions = torch.cat([torch.arange(length) for length in LENGTHS])[None] + 2
    linears = FastLinears(encoder, 1 << 30)
    with (
        torch.inference_mode(),
        packed_attention_of(encoder.config),
        linears.installed("cpu") if is_fused else nullcontext(),
        FusedBerts(encoder).installed() if is_fused else nullcontext(),
    ):
        found: Tensor = encoder(
            input_ids=ids, position_ids=positions, use_cache=False, packed=PackedPlan(batch, {})
        ).last_hidden_state[0]
    assert not any("forward" in vars(module) for module in encoder.modules())
    return found


def num_fused(encoder: Any) -> int:
    """Parts that would run so."""
    linears = FastLinears(encoder, 1 << 30)
    parts = [m for m in encoder.modules() if type(m) is not torch.nn.Linear]
    with linears.installed("cpu"), FusedBerts(encoder).installed():
        return sum("forward" in vars(part) for part in parts)


@pytest.mark.parametrize("name", BERTS)
def test_states_equal_those_of_the_layers_themselves(name: str) -> None:
    encoder = encoder_of(name)
    expected = states(encoder, is_fused=False)
    torch.testing.assert_close(states(encoder, is_fused=True), expected, atol=1e-5, rtol=1e-5)
    assert num_fused(encoder) == (3 * len(encoder.encoder.layer) if is_helped(torch.float32) else 0)


def test_other_activations_are_run_as_they_are() -> None:
    encoder = encoder_of("bert")
    for layer in encoder.encoder.layer:
        layer.intermediate.intermediate_act_fn = ACT2FN["gelu_new"]
    expected = states(encoder, is_fused=False)
    torch.testing.assert_close(states(encoder, is_fused=True), expected, atol=1e-5, rtol=1e-5)
    assert num_fused(encoder) == (2 * len(encoder.encoder.layer) if is_helped(torch.float32) else 0)


def test_half_precision_is_rounded_as_the_layers_round_it() -> None:
    assert num_fused(encoder_of("bert").bfloat16()) == 0


def test_a_hook_on_a_product_still_sees_it() -> None:
    encoder, seen = encoder_of("bert"), []
    dense = encoder.encoder.layer[0].output.dense
    dense.register_forward_hook(lambda _, __, output: seen.append(output.shape[1]))
    states(encoder, is_fused=True)
    assert seen == [sum(LENGTHS)]


@pytest.mark.parametrize("name", BERTS)
def test_pieces_of_a_row_are_the_whole_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of(name)
    expected = states(encoder, is_fused=False)
    monkeypatch.setattr(fused, "_PIECE_TOKENS", 23)
    torch.testing.assert_close(states(encoder, is_fused=True), expected, atol=1e-5, rtol=1e-5)
    assert not any("feed_forward_chunk" in vars(module) for module in encoder.modules())


@pytest.mark.parametrize("part", ["intermediate", "output"])
def test_a_hook_on_an_mlp_sees_whole_rows(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, seen = encoder_of("bert"), []
    monkeypatch.setattr(fused, "_PIECE_TOKENS", 23)
    watched = getattr(encoder.encoder.layer[0], part)
    watched.register_forward_hook(lambda _, __, output: seen.append(output.shape[1]))
    states(encoder, is_fused=True)
    assert seen == [sum(LENGTHS)]


def test_dropout_is_not_left_out_in_training() -> None:
    encoder = encoder_of("bert").train()
    assert num_fused(encoder) == 0
