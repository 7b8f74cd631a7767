"""Decoders' layers and MLPs in fewer passes over memory: the model's own states."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.activations import ACT2FN

from mmrerank.engine import TokenBudget, fused
from mmrerank.engine.attention import PackedPlan
from mmrerank.engine.fused import FastForwards, FusedDecoders, FusedMLP, FusedMLPs
from mmrerank.engine.linear import FastLinears, is_helped
from mmrerank.engine.packed import packed_attention_of
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.prefix_tree import flat_tree
from mmrerank.models.architectures import LAST_LAYER, MLPS
from tests.engine._architectures import ARCHITECTURES, make

DECODERS = [name for name, kind in LAST_LAYER.items() if kind == "decoder"]
LENGTHS = [17, 30, 9]
IS_HELPED = is_helped(torch.float32)
# Their experts choose by a product that is not asked here; few of their layers have an MLP.
EXPERTS = {"qwen3_moe", "qwen3_omni_moe_text"}


def decoder_of(name: str) -> Any:
    return make(name).get_decoder().eval()


def forwards_of(decoder: Any) -> FastForwards:
    linears = FastLinears(decoder, 1 << 30)
    return FastForwards(linears, FusedMLPs(decoder), FusedDecoders(decoder))


def states(decoder: Any, *, is_fused: bool) -> Tensor:
    """(num_tokens, hidden_size)"""
    (batch,) = pack_batches(flat_tree(LENGTHS), len(LENGTHS), TokenBudget())
    ids = torch.arange(30, 30 + sum(LENGTHS))[None]
    positions = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    with (
        torch.inference_mode(),
        packed_attention_of(decoder.config),
        forwards_of(decoder).installed("cpu") if is_fused else nullcontext(),
    ):
        found: Tensor = decoder(
            input_ids=ids, position_ids=positions, use_cache=False, packed=PackedPlan(batch, {})
        ).last_hidden_state[0]
    assert not any("forward" in vars(module) for module in decoder.modules())
    return found


def num_fused(decoder: Any) -> tuple[int, int]:
    """Layers and MLPs that would run so."""
    with forwards_of(decoder).installed("cpu"):
        forwards = [vars(module).get("forward") for module in decoder.modules()]
        layers = [vars(layer).get("forward") for layer in decoder.layers]
    num_mlps = sum(isinstance(forward, FusedMLP) for forward in forwards)
    return sum(forward is not None for forward in layers), num_mlps


@pytest.mark.parametrize("name", DECODERS)
def test_states_equal_those_of_the_layers_themselves(name: str) -> None:
    decoder = decoder_of(name)
    expected = states(decoder, is_fused=False)
    torch.testing.assert_close(states(decoder, is_fused=True), expected, atol=1e-5, rtol=1e-5)
    num_layers = len(decoder.layers) if IS_HELPED else 0
    assert num_fused(decoder) == (num_layers, 0 if name in EXPERTS else num_layers)


@pytest.mark.parametrize("name", DECODERS)
def test_pieces_of_a_row_are_the_whole_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = decoder_of(name)
    expected = states(decoder, is_fused=False)
    monkeypatch.setattr(fused, "_PIECE_TOKENS", 23)
    torch.testing.assert_close(states(decoder, is_fused=True), expected, atol=1e-5, rtol=1e-5)


def test_every_listed_mlp_is_of_an_architecture_at_hand() -> None:
    found = {type(part).__name__ for name in ARCHITECTURES for part in make(name).modules()}
    # Experts' plain layers, which the tiny models have none of, are those of the dense model.
    assert set(MLPS) - found <= {"Qwen3MoeMLP", "Qwen3OmniMoeThinkerTextMLP"}


def test_other_activations_are_run_as_they_are() -> None:
    decoder = decoder_of("qwen3")
    for layer in decoder.layers:
        layer.mlp.act_fn = ACT2FN["relu"]
    expected = states(decoder, is_fused=False)
    torch.testing.assert_close(states(decoder, is_fused=True), expected, atol=1e-5, rtol=1e-5)
    assert num_fused(decoder) == (3 if IS_HELPED else 0, 0)


def test_half_precision_is_rounded_as_the_layers_round_it() -> None:
    decoder = decoder_of("qwen3").bfloat16()
    assert num_fused(decoder) == (0, 0)
    assert states(decoder, is_fused=True).dtype is torch.bfloat16


PARTS = (
    *("self_attn", "self_attn.v_proj", "self_attn.q_norm", "self_attn.o_proj"),
    *("input_layernorm", "mlp", "mlp.gate_proj", "mlp.act_fn", "mlp.down_proj"),
)


@pytest.mark.parametrize("part", PARTS)
def test_a_hook_on_a_part_still_sees_and_changes_it(part: str) -> None:
    decoder = decoder_of("qwen3")
    before = states(decoder, is_fused=True)

    def halve(_: Any, __: Any, output: Any) -> Any:
        return (output[0] / 2, *output[1:]) if isinstance(output, tuple) else output / 2

    decoder.layers[1].get_submodule(part).register_forward_hook(halve)
    expected = states(decoder, is_fused=False)
    found = states(decoder, is_fused=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (found - before).abs().max() > 1e-3


def test_a_layer_with_a_forward_of_its_own_keeps_it() -> None:
    decoder = decoder_of("qwen3")
    decoder.layers[1].mlp.forward = torch.zeros_like
    decoder.layers[2].self_attn.forward = lambda hidden_states, **_: (hidden_states, None)
    expected: list[Tensor] = []
    (batch,) = pack_batches(flat_tree(LENGTHS), len(LENGTHS), TokenBudget())
    for forwards in (nullcontext(), forwards_of(decoder).installed("cpu")):
        with torch.inference_mode(), packed_attention_of(decoder.config), forwards:
            ids = torch.arange(30, 30 + sum(LENGTHS))[None]
            output = decoder(input_ids=ids, use_cache=False, packed=PackedPlan(batch, {}))
            expected.append(output.last_hidden_state)
    torch.testing.assert_close(*expected, atol=1e-5, rtol=1e-5)
    assert decoder.layers[1].mlp.forward is torch.zeros_like


def test_dropout_is_not_left_out_in_training() -> None:
    assert num_fused(decoder_of("qwen3").train()) == (0, 0)


def test_gradients_pass_through_layers_that_run_so() -> None:
    decoder = decoder_of("qwen3")
    (batch,) = pack_batches(flat_tree(LENGTHS), len(LENGTHS), TokenBudget())
    weight, gradients = decoder.layers[0].self_attn.q_norm.weight, []
    for forwards in (nullcontext(), forwards_of(decoder).installed("cpu")):
        with packed_attention_of(decoder.config), forwards:
            ids = torch.arange(30, 30 + sum(LENGTHS))[None]
            output = decoder(input_ids=ids, use_cache=False, packed=PackedPlan(batch, {}))
        output.last_hidden_state.square().mean().backward()
        gradients.append(weight.grad.clone())
        decoder.zero_grad()
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
