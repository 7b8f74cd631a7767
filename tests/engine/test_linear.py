"""Linear layers by oneDNN: torch's results, live weights, and a model left as it was."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from mmrerank.engine import linear as linear_module
from mmrerank.engine.linear import _ACTIVATIONS, FastLinear, FastLinears, is_helped

ROOMY = 1 << 30
ROWS = [1, 15, 16, 200]
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float64: 1e-12, torch.float16: 1e-2}


class _Doubled(nn.Linear):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


def model_of(dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 32, bias=False)).to(dtype)


def fast(model: nn.Module, states: torch.Tensor, linears: FastLinears) -> torch.Tensor:
    with torch.inference_mode(), linears.installed("cpu"):
        result: torch.Tensor = model(states)
        return result


@pytest.mark.parametrize("max_bytes", [0, ROOMY])
@pytest.mark.parametrize("num_rows", ROWS)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_gives_what_torch_gives(dtype: torch.dtype, num_rows: int, max_bytes: int) -> None:
    model = model_of(dtype)
    states = torch.randn(1, num_rows, 48).to(dtype)
    found = fast(model, states, FastLinears(model, max_bytes))
    assert found.dtype is dtype
    assert (found - model(states)).abs().max() <= TOLERANCE[dtype]


@pytest.fixture(params=["as they are", "in float32"])
def half_precision(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bool]:
    """Products of halves, as on either kind of processor. Whether they are made float32."""
    is_widened = request.param == "in float32"
    found = frozenset(linear_module._HALVES if is_widened else ())
    monkeypatch.setattr(linear_module, "_widened", lambda: found)
    is_helped.cache_clear()
    yield is_widened
    is_helped.cache_clear()


@pytest.mark.parametrize("max_bytes", [0, ROOMY])
@pytest.mark.parametrize("num_rows", ROWS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_halves_give_what_torch_gives_on_any_processor(
    half_precision: bool, dtype: torch.dtype, num_rows: int, max_bytes: int
) -> None:
    model, states = model_of(dtype), torch.randn(1, num_rows, 48).to(dtype)
    linears = FastLinears(model, max_bytes)
    found = fast(model, states, linears)
    assert found.dtype is dtype
    assert (found - model(states)).abs().max() <= TOLERANCE[dtype]
    if half_precision and max_bytes and is_helped(torch.float32):
        assert linears.num_bytes == 4 * (48 * 64 + 64 * 32)


def test_halves_that_a_processor_multiplies_slowly_are_made_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times_s = {torch.float32: 1.0, torch.bfloat16: 1.1, torch.float16: 6.0}
    monkeypatch.setattr(linear_module, "_time_of_product", times_s.__getitem__)
    assert linear_module._widened.__wrapped__() == {torch.float16}


@pytest.mark.parametrize("num_rows", ROWS)
@pytest.mark.parametrize("activation", _ACTIVATIONS)
def test_what_follows_a_product_is_done_within_it(activation: Any, num_rows: int) -> None:
    layer, states, other = model_of()[0], torch.randn(1, num_rows, 48), torch.randn(1, num_rows, 64)
    forward = FastLinear(layer, None)
    with torch.inference_mode():
        product = layer(states)
        then = _ACTIVATIONS[activation][2](product)
        torch.testing.assert_close(forward.then(states, activation), then, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(forward.plus(states, other), product + other)
        torch.testing.assert_close(forward.times(states, other), product * other)


def test_sees_a_weight_that_was_changed_in_place() -> None:
    model = model_of()
    linears, states = FastLinears(model, ROOMY), torch.randn(1, 40, 48)
    before = fast(model, states, linears)
    with torch.no_grad():
        model[0].weight[3] += 1.0
    after = fast(model, states, linears)
    assert (after - model(states)).abs().max() <= 1e-5
    assert (after - before).abs().max() > 1e-2


def test_forgets_a_change_that_is_not_counted_once_told_to() -> None:
    model = model_of()
    linears, states = FastLinears(model, ROOMY), torch.randn(1, 40, 48)
    fast(model, states, linears)
    model[0].weight.data[3] += 1.0
    linears.clear()
    assert linears.num_bytes == 0
    assert (fast(model, states, linears) - model(states)).abs().max() <= 1e-5


def test_keeps_weights_only_where_all_fit() -> None:
    model = model_of()
    num_bytes = 4 * (48 * 64 + 64 * 32)
    states = torch.randn(1, 40, 48)
    for max_bytes, expected in ((num_bytes, num_bytes), (num_bytes - 1, 0)):
        linears = FastLinears(model, max_bytes)
        fast(model, states, linears)
        assert linears.num_bytes == (expected if is_helped(torch.float32) else 0)


def test_leaves_the_model_as_it_was() -> None:
    model = model_of()
    linears = FastLinears(model, ROOMY)
    with pytest.raises(RuntimeError):
        fast(model, torch.randn(1, 40, 47), linears)  # too few features
    assert all("forward" not in module.__dict__ for module in model.modules())


def test_gradients_are_torchs_own() -> None:
    model, states = model_of(), torch.randn(1, 40, 48)
    model(states).square().mean().backward()
    expected = model[0].weight.grad.clone()
    model.zero_grad()
    with FastLinears(model, ROOMY).installed("cpu"):
        model(states).square().mean().backward()
    assert torch.equal(model[0].weight.grad, expected)


def test_layers_that_are_more_than_a_product_run_as_they_are() -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(_Doubled(48, 48), nn.Linear(48, 48), nn.Linear(48, 48))
    model[1].forward = lambda states: states + 1.0
    states = torch.randn(1, 40, 48)
    expected = model(states)
    assert (fast(model, states, FastLinears(model, ROOMY)) - expected).abs().max() <= 1e-5
    assert model[1].forward(torch.zeros(1)) == 1.0


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))], ids=["copy", "pickle"]
)
def test_copies_belong_to_the_copied_model(copied: Any) -> None:
    model = model_of()
    linears, states = FastLinears(model, ROOMY), torch.randn(1, 40, 48)
    fast(model, states, linears)
    other, its_linears = copied((model, linears))
    with torch.no_grad():
        other[0].weight.zero_()
    assert its_linears.num_bytes == 0
    found = fast(other, states, its_linears)
    assert (found - other(states)).abs().max() <= 1e-5
    assert (found - model(states)).abs().max() > 1e-2
