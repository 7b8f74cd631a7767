"""A checkpoint's own classifier, applied to the states that scores are read from."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

__all__ = ["Classifier", "mean_of_tokens"]


class Classifier:
    """Some submodules of a model, one after the other; it owns none of them.

    steps: dotted names within the model. keeps_axis: the first one wants (pairs, 1, hidden_size)
    and takes token 0 of it.
    """

    def __init__(self, model: nn.Module, steps: tuple[str, ...], *, keeps_axis: bool) -> None:
        self._model = model
        self._steps = steps
        self._keeps_axis = keeps_axis

    def __call__(self, states: Tensor) -> Tensor:
        """states: (pairs, hidden_size). Returns (pairs, num_labels)."""
        values: Any = states.unsqueeze(1) if self._keeps_axis else states
        for step in self._steps:
            # Looked up at each call: a module that was replaced is the one that counts.
            values = self._model.get_submodule(step)(values)
        result: Tensor = values
        return result


def mean_of_tokens(hidden: Tensor, mask: Tensor) -> Tensor:
    """hidden: (rows, tokens, hidden_size); mask: (rows, tokens). Returns (rows, hidden_size)."""
    kept = hidden * mask.unsqueeze(-1).to(hidden.dtype)
    return kept.sum(dim=1) / mask.sum(dim=1, keepdim=True).to(hidden.dtype)
