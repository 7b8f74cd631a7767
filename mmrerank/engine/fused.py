"""Layers of the BERT kind with fewer passes over memory: what follows a product is done within it.

For the time of a batch GELU and the residual become parts of oneDNN's products.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from mmrerank.engine.linear import FastLinear, forwards_of

__all__ = ["FusedLayers"]


class FusedLayers:
    """layers: those of an encoder whose last layer is of the kind "bert" (last_layer.py)."""

    def __init__(self, layers: Sequence[Any]) -> None:
        self._layers = layers

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within it, and within `FastLinears.installed`, layers run so; others stay as they are."""
        found = {
            part: forward
            for layer in self._layers
            for part, forward in (
                (layer.intermediate, _then_gelu(layer.intermediate)),
                (layer.attention.output, _plus_residual(layer.attention.output)),
                (layer.output, _plus_residual(layer.output)),
            )
            if forward is not None
        }
        with forwards_of(list(found), list(found.values())):
            yield


def _then_gelu(part: Any) -> Any:
    """Forward of a product and GELU; None where it is something else."""
    act: Any = part.intermediate_act_fn
    if not _is_fusible(part) or getattr(act, "act", None) is not gelu:
        return None
    return part.dense.forward.then_gelu


def _plus_residual(part: Any) -> Any:
    """Forward of a product, the residual and a norm; None where dropout or more stands between."""
    if not _is_fusible(part):
        return None

    def forward(states: Tensor, residual: Tensor) -> Tensor:
        result: Tensor = part.LayerNorm(part.dense.forward.plus(states, residual))
        return result

    return forward


def _is_fusible(part: nn.Module) -> bool:
    """Whether nobody wants to see, or to change, what lies between the two."""
    dense: Any = part.dense
    is_fast = isinstance(vars(dense).get("forward"), FastLinear)
    is_watched = bool(dense._forward_hooks or dense._forward_pre_hooks)
    # In half precision one rounding less would show in scores, and little would be gained.
    is_exact = dense.weight.dtype is torch.float32
    is_free = not part.training and "forward" not in vars(part)
    return is_fast and is_exact and is_free and not is_watched
