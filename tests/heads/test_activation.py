"""Activations by name: short, dotted, unknown; and the names that checkpoints save."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmrerank.errors import CheckpointError
from mmrerank.heads import activation_by_name, activation_name


@pytest.mark.parametrize(
    ("num_labels", "expected"), [(1, nn.Sigmoid), (3, nn.Identity)], ids=["one", "three"]
)
def test_no_name_gives_the_peers_default(num_labels: int, expected: type) -> None:
    assert type(activation_by_name("", num_labels=num_labels)) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", nn.Sigmoid),
        ("identity", nn.Identity),
        ("tanh", nn.Tanh),
        ("torch.nn.modules.activation.Sigmoid", nn.Sigmoid),
        ("torch.nn.modules.linear.Identity", nn.Identity),
        ("torch.nn.GELU", nn.GELU),
    ],
)
def test_name_gives_its_module(name: str, expected: type) -> None:
    assert type(activation_by_name(name, num_labels=1)) is expected


def test_softmax_goes_over_the_labels() -> None:
    values = activation_by_name("softmax", num_labels=3)(torch.tensor([[1.0, 2.0, 3.0]]))
    assert values.sum().item() == pytest.approx(1.0)
    assert values[0].tolist() == pytest.approx([0.0900, 0.2447, 0.6652], abs=1e-4)


@pytest.mark.parametrize("activation", [nn.Sigmoid(), nn.Identity(), nn.Tanh(), nn.GELU()])
def test_saved_name_reads_back(activation: nn.Module) -> None:
    again = activation_by_name(activation_name(activation), num_labels=2)
    assert type(again) is type(activation)


def test_function_is_saved_as_the_module_that_readers_can_make() -> None:
    assert activation_name(torch.sigmoid) == "torch.nn.modules.activation.Sigmoid"
    assert type(activation_by_name(activation_name(torch.sigmoid), num_labels=3)) is nn.Sigmoid


def test_foreign_path_is_not_imported_but_defaulted_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = activation_by_name("subprocess.Popen", num_labels=1)
    assert type(made) is nn.Sigmoid
    assert "'subprocess.Popen'" in caplog.text


def test_foreign_path_is_imported_when_trusted() -> None:
    name = "transformers.activations.QuickGELUActivation"
    made = activation_by_name(name, num_labels=1, trust_remote_code=True)
    assert type(made).__name__ == "QuickGELUActivation"
    assert type(activation_by_name(name, num_labels=1)) is nn.Sigmoid


@pytest.mark.parametrize("name", ["torch.nn.NoSuchThing", "torch.no_such_module.Tanh"])
def test_torch_path_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match=name):
        activation_by_name(name, num_labels=1)


@pytest.mark.parametrize("name", ["torch.hub.load", "torch.load", "torch.nn.Linear", "torch.seed"])
def test_torch_path_that_is_no_activation_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match=name):
        activation_by_name(name, num_labels=1)


def test_torch_function_named_by_a_checkpoint_is_not_called() -> None:
    """torch.seed() has a side effect; only classes of modules may be made from a file's word."""
    before = torch.get_rng_state()
    with pytest.raises(CheckpointError, match=r"torch\.seed"):
        activation_by_name("torch.seed", num_labels=1)
    assert torch.equal(torch.get_rng_state(), before)
