"""(logit + bias) / divide behind a LogitScore, as a module that sentence-transformers knows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mmrerank.heads.chain import Dense
from mmrerank.specs import HeadSpec

__all__ = ["make_scaling", "scalings_of"]


def make_scaling(spec: HeadSpec) -> Dense:
    """The Dense that does a spec's arithmetic. Its two numbers are the vendor's and not trained."""
    dense = Dense(
        1,
        1,
        bias=spec.bias != 0,
        activation_function=nn.Identity(),
        module_input_name="scores",
        module_output_name="scores",
    )
    with torch.no_grad():
        dense.linear.weight.fill_(1 / spec.divide)
        if spec.bias != 0:
            dense.linear.bias.fill_(spec.bias / spec.divide)
    return dense.requires_grad_(False)


def scalings_of(modules: Sequence[nn.Module]) -> list[Dense]:
    """Those of a checkpoint's modules that do arithmetic on finished logits."""
    return [
        module
        for module in modules
        if isinstance(module, Dense) and module.module_input_name == "scores"
    ]
