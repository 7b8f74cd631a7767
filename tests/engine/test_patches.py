"""Patches as products, and towers in fewer passes over memory: the towers' own states."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mmrerank.engine.decoder import is_as_made
from mmrerank.engine.fused import FastForwards, FusedMLPs
from mmrerank.engine.linear import FastLinears
from mmrerank.engine.media_states import TowerRunner
from mmrerank.engine.patches import FastPatches
from tests.engine._architectures import ARCHITECTURES, make
from tests.engine._both_ways import largest_difference
from tests.engine._media import PLACEHOLDERS

WITH_MEDIA = [name for name, architecture in ARCHITECTURES.items() if architecture.media]


def run(convolution: nn.Module, inputs: torch.Tensor, *, is_fast: bool) -> torch.Tensor:
    forwards = FastForwards(FastLinears(convolution, 0), *[FastPatches(convolution)] * is_fast)
    with torch.inference_mode(), forwards.installed("cpu"):
        result: torch.Tensor = convolution(inputs)
    assert is_as_made(convolution)
    return result


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(("make_one", "size"), [(nn.Conv2d, (4, 6)), (nn.Conv3d, (2, 4, 6))])
@pytest.mark.parametrize("times", [1, 2])
def test_states_are_the_convolutions(
    make_one: Any, size: tuple[int, ...], times: int, has_bias: bool
) -> None:
    torch.manual_seed(0)
    convolution = make_one(3, 16, size, stride=size, bias=has_bias)
    inputs = torch.randn(40, 3, *(times * length for length in size))
    expected = run(convolution, inputs, is_fast=False)
    found = run(convolution, inputs, is_fast=True)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", [{"padding": 1}, {"dilation": 2}, {"groups": 3}], ids=str)
def test_other_convolutions_are_run_as_they_are(options: Any) -> None:
    convolution = nn.Conv2d(3, 6, 4, **options)
    with FastPatches(convolution).installed():
        assert "forward" not in vars(convolution)


def test_a_hook_on_a_convolution_still_sees_patches() -> None:
    convolution, seen = nn.Conv2d(3, 6, 4), []
    convolution.register_forward_hook(lambda *_: seen.append("patches"))
    with FastPatches(convolution).installed(), torch.inference_mode():
        convolution(torch.randn(2, 3, 4, 4))
    assert seen == ["patches"]


@pytest.mark.parametrize("name", WITH_MEDIA)
def test_towers_give_their_own_states(name: str) -> None:
    base: Any = make(name).base_model.eval()
    linears = FastLinears(base, 1 << 30)
    features = [medium.feature for medium in ARCHITECTURES[name].media]
    placeholders: dict[str, int] = dict(PLACEHOLDERS.items())
    fast = FastForwards(linears, FastPatches(base), FusedMLPs(base))
    found, expected = (
        TowerRunner(base, base.get_decoder(), placeholders, forwards).run(features, "cpu")
        for forwards in (fast, FastForwards(linears))
    )
    assert found.keys() == expected.keys()
    for key, state in expected.items():
        assert largest_difference(found[key].embeds, state.embeds) <= 1e-5
        for layer, own in zip(found[key].layers, state.layers, strict=True):
            assert largest_difference(layer, own) <= 1e-5
