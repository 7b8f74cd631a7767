"""The one place where losses call the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

__all__ = ["pair_logits"]


def pair_logits(
    model: Any, pairs: Sequence[Any], *, prompt: str | None = None, task: str | None = None
) -> Tensor:
    """Raw logits of pairs, (num_pairs, num_labels), with gradients.

    model: a CrossEncoder, or what a trainer has wrapped around it. task: accepted as in the peer;
    no model of ours has routes.
    """
    unwrapped = getattr(model, "module", model)  # DistributedDataParallel's name for what it holds
    features = {
        name: value.to(unwrapped.device) if isinstance(value, Tensor) else value
        for name, value in unwrapped.preprocess_for_training(list(pairs), prompt=prompt).items()
    }
    logits: Tensor = model(features)["scores"]
    return logits
