"""Which parameters are trained, and at which rate."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from torch import nn

from mmrerank.errors import InputError, shorten

__all__ = ["named_by_loss", "parameter_groups", "with_rates"]


def named_by_loss(loss: nn.Module | dict[str, nn.Module], model: nn.Module) -> nn.Module:
    """A module with the parameters of the losses and of the model, each once.

    Losses may have parameters of their own; a loss that does not hold the model as an attribute
    still trains it.
    """
    losses = list(loss.values()) if isinstance(loss, dict) else [loss]
    held = {id(parameter) for part in losses for parameter in part.parameters()}
    is_held = all(id(parameter) in held for parameter in model.parameters())
    if len(losses) == 1 and is_held:
        return losses[0]
    return nn.ModuleList([*losses, *([] if is_held else [model])])


def parameter_groups(
    parameters: nn.Module, decaying: Collection[str], weight_decay: float
) -> list[dict[str, Any]]:
    """Two groups for an optimizer: with weight decay, and biases and norms without."""
    trained = [(name, p) for name, p in parameters.named_parameters() if p.requires_grad]
    return [
        {"params": [p for name, p in trained if name in decaying], "weight_decay": weight_decay},
        {"params": [p for name, p in trained if name not in decaying], "weight_decay": 0.0},
    ]


def with_rates(
    groups: list[dict[str, Any]],
    parameters: nn.Module,
    decaying: Collection[str],
    rates: dict[str, float],
    weight_decay: float,
) -> list[dict[str, Any]]:
    """The groups, with parameters whose names match moved to groups with a rate of their own.

    rates: learning rate by regular expression; of two that match the later one counts.
    Raises InputError for an expression that matches nothing.
    """
    for pattern, rate in rates.items():
        matching = [
            (name, parameter)
            for name, parameter in parameters.named_parameters()
            if re.search(pattern, name)
        ]
        if not matching:
            raise InputError(
                f"learning_rate_mapping: no parameter of the model has a name that matches "
                f"{shorten(pattern)}."
            )
        moved = {id(parameter) for _, parameter in matching}
        for group in groups:
            group["params"] = [p for p in group["params"] if id(p) not in moved]
        for decay, wanted in ((weight_decay, True), (0.0, False)):
            chosen = [p for name, p in matching if (name in decaying) is wanted and p.requires_grad]
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups
