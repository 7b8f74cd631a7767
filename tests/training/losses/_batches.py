"""Batches as the collator hands them to a loss, and what "the same loss" means."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

QUERIES = [
    "How many people live in the city near the river?",
    "Which planet is red?",
    "When does the ferry leave?",
    "What grows in the garden?",
]
POSITIVES = [
    "The city has a population of three million people.",
    "Dust and iron make the surface of the planet look red.",
    "The ferry leaves the harbour at noon.",
    "Rain fell on the garden all night, and the roses are in flower.",
]
NEGATIVES = ["Bread.", "The train stops at every village.", "A city.", "400 000 Einwohner"]
FAR_NEGATIVES = ["A river.", "The rose is red.", "Noon.", "Iron and dust."]
NUMBERS = torch.tensor([1.0, 0.25, 0.0, 0.75])

# Lists of 4, 1, 3 and 2 documents, labels graded, alone, tied, and all equal.
LISTS = [
    [POSITIVES[0], NEGATIVES[0], POSITIVES[1], NEGATIVES[3]],
    [POSITIVES[1]],
    [POSITIVES[2], NEGATIVES[2], FAR_NEGATIVES[2]],
    [NEGATIVES[1], FAR_NEGATIVES[3]],
]
LIST_LABELS = [[3.0, 0.0, 2.0, 1.0], [1.0], [1.0, 0.0, 0.0], [1.0, 1.0]]


def list_labels() -> list[Tensor]:
    """LIST_LABELS as the collator gives them."""
    return [torch.tensor(row) for row in LIST_LABELS]


def run(loss: nn.Module, *args: Any, seed: int = 0, **kwargs: Any) -> tuple[float, dict[str, Any]]:
    """The loss's value, and the gradient of every parameter of the transformers model by name."""
    weights: Any = loss.model
    weights.eval()
    weights.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    value = loss(*args, **kwargs)
    value.backward()
    gradients = {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in weights.transformers_model.named_parameters()
    }
    weights.zero_grad(set_to_none=True)
    return value.item(), gradients


def assert_same_loss(
    ours: tuple[float, dict[str, Tensor]],
    theirs: tuple[float, dict[str, Tensor]],
    *,
    is_flat: bool = False,
    tolerance: float = 1e-5,
) -> None:
    """Values and gradients differ by at most `tolerance` · max(1, size).

    is_flat: the loss has no slope there; else one without is an error of the test.
    """
    assert abs(ours[0] - theirs[0]) <= tolerance * max(1.0, abs(theirs[0])), (ours[0], theirs[0])
    assert ours[1].keys() == theirs[1].keys()
    assert len(ours[1]) > 10
    steepest = max(gradient.abs().max().item() for gradient in theirs[1].values())
    assert (steepest == 0.0) is is_flat, f"steepest slope {steepest}"
    for name, gradient in theirs[1].items():
        worst = (ours[1][name] - gradient).abs().max().item()
        size = max(1.0, gradient.abs().max().item())
        assert worst <= tolerance * size, f"{name}: {worst:.2e} at slopes of up to {size:.2e}"
