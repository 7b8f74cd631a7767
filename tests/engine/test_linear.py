"""Linear layers by oneDNN: torch's results, live weights, and a model left as it was."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from mmrerank.engine.linear import FastLinears, _dtypes

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
        assert linears.num_bytes == (expected if _dtypes() else 0)


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
