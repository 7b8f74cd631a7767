"""Losses that come in parts: each part's mean is logged beside the sum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["LossComponents"]


class LossComponents:
    """Sums of the parts since they were last logged."""

    def __init__(self, *, skip_nan: bool) -> None:
        self._sums: dict[str, Tensor] = {}
        self._num_steps = 0
        self._skip_nan = skip_nan

    def add(self, parts: dict[str, Tensor]) -> None:
        """Count one step. A part that is no finite number counts as the mean so far, if so set."""
        for name, value in parts.items():
            # Detached: a graph kept until the next log would keep all activations.
            value = value.detach()
            before = self._sums.get(name, torch.zeros_like(value))
            if self._skip_nan and not torch.isfinite(value):
                value = before / max(self._num_steps, 1)
            self._sums[name] = before + value
        self._num_steps += 1

    def pop_means(self, gather: Any) -> dict[str, float]:
        """Means over all processes, rounded as transformers rounds losses; counting starts anew.

        gather: brings tensors of all processes together, as accelerate's Accelerator.gather.
        """
        if not self._num_steps:
            return {}
        device = next(iter(self._sums.values())).device
        num_steps = gather(torch.tensor([self._num_steps], device=device)).sum()
        means = {
            name: round((gather(total.reshape(1)).sum() / num_steps).item(), 4)
            for name, total in self._sums.items()
        }
        self._sums, self._num_steps = {}, 0
        return means
