"""Logits of the rows of a batch whose first two columns are pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmrerank.training.scoring import pair_logits

__all__ = ["row_logits"]


def row_logits(
    model: Any, inputs: Sequence[Sequence[Any]], *, prompt: str | None, task: str | None
) -> Tensor:
    """Logits of (query, document) rows, float32 (num_rows, num_labels), with gradients."""
    pairs = list(zip(inputs[0], inputs[1], strict=True))
    # float32 also where the model works in bfloat16: there a label of 0.3 is off by 0.001.
    return pair_logits(model, pairs, prompt=prompt, task=task).float()
