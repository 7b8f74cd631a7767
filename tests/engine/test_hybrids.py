"""Layers that carry a state from token to token: rows are padded, and padding changes nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
import transformers as hf

from mmrerank.engine import PackedEngine
from tests.checkpoints._save import make_model
from tests.engine._architectures import DECODER, VISION_IDS, Architecture, vision_of_qwen3_vl
from tests.engine._both_ways import BothWays, largest_difference
from tests.engine._media import clips, pictures

TOLERANCE = 1e-5
_LINEAR: dict[str, Any] = {
    **DECODER,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
}
_MROPE: dict[str, Any] = {
    "rope_type": "default",
    "rope_theta": 10000.0,
    "mrope_section": [1, 1, 0],
    "partial_rotary_factor": 0.5,
    "mrope_interleaved": True,
}
_EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
}


def _qwen3_next() -> Any:
    return hf.Qwen3NextForCausalLM(hf.Qwen3NextConfig(**_LINEAR, **_EXPERTS))


def _qwen3_5_text() -> Any:
    config = hf.Qwen3_5TextConfig(**_LINEAR, rope_parameters=_MROPE)
    return hf.Qwen3_5ForCausalLM(config)


def _qwen3_5() -> Any:
    text = {**_LINEAR, "rope_parameters": _MROPE}
    config = hf.Qwen3_5Config(text_config=text, vision_config=vision_of_qwen3_vl(), **VISION_IDS)
    return hf.Qwen3_5ForConditionalGeneration(config)


def _lfm2() -> Any:
    kinds = ["conv", "full_attention", "conv"]
    return hf.Lfm2ForCausalLM(hf.Lfm2Config(**{**DECODER, "layer_types": kinds}))


def _falcon_h1() -> Any:
    sizes: dict[str, Any] = {
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
    }
    return hf.FalconH1ForCausalLM(hf.FalconH1Config(**DECODER, **sizes, mamba_n_groups=1))


HYBRIDS: dict[str, Architecture] = {
    "qwen3_next": Architecture("qwen3_next", _qwen3_next),
    "qwen3_5_text": Architecture("qwen3_5_text", _qwen3_5_text),
    "qwen3_5": Architecture("qwen3_5", _qwen3_5, media=(*pictures(), *clips(are_apart=True))),
    "lfm2": Architecture("lfm2", _lfm2),
    "falcon_h1": Architecture("falcon_h1", _falcon_h1),
}
each_hybrid = pytest.mark.parametrize("name", HYBRIDS)
# Blocks 0 to 6 are texts of 1, 3, 8, 17, 30, 61 and 140 tokens, 7 to 11 media.
TEXTS = [[4, 5, 0], [4, 5, 3], [6, 2], [3], [0], [5, 1]]
MIXED = [*TEXTS, [4, 7, 1], [8], [4, 10, 2], [11, 9, 0]]


@cache
def both_of(name: str) -> BothWays:
    hybrid = HYBRIDS[name]
    return BothWays(hybrid, make_model(hybrid.construct, seed=0, matrix_gain=hybrid.gain))


@each_hybrid
def test_rows_of_different_lengths_give_the_states_of_each_alone(name: str) -> None:
    both = both_of(name)
    groups = [both.group(prompt) for prompt in (MIXED if both.architecture.media else TEXTS)]
    alone = torch.cat([both.padded_states([group]) for group in groups])
    assert largest_difference(both.padded_states(groups), alone) <= TOLERANCE


@each_hybrid
def test_the_same_row_many_times_beside_a_longer_one_gives_one_state(name: str) -> None:
    both = both_of(name)
    row, longer = both.group([4, 2]), both.group([6, 6, 5])
    states = both.padded_states([row, longer, row, row, row])
    (alone,) = both.padded_states([row])
    for state in states[[0, 2, 3, 4]]:
        assert largest_difference(state, alone) <= TOLERANCE


@each_hybrid
def test_rows_padded_on_the_left_end_in_the_same_states(name: str) -> None:
    """As `preprocess` pads them, for callers that read the last column."""
    both = both_of(name)
    groups = [both.group(prompt) for prompt in TEXTS]
    inputs = both.padded.inputs(groups, {}, pad_left=True)
    with torch.inference_mode():
        hidden = both.padded.module(**inputs, use_cache=False).last_hidden_state
    alone = torch.cat([both.padded_states([group]) for group in groups])
    # Rotary numbers of other positions round otherwise, and attention is sharp here.
    assert largest_difference(hidden[:, -1], alone) <= 10 * TOLERANCE


@each_hybrid
def test_state_depends_on_what_stands_far_in_front(name: str) -> None:
    """Else the tests above would not see a state that leaks."""
    both = both_of(name)
    first, second = both.padded_states([both.group([4, 3, 5]), both.group([3, 4, 5])])
    assert largest_difference(first, second) > 1e-2


@each_hybrid
def test_hybrid_is_not_packed(name: str) -> None:
    both = both_of(name)
    engine = both.engine()
    choose = getattr(engine, "choose", None)
    assert not isinstance(choose("cpu") if choose is not None else engine, PackedEngine)
