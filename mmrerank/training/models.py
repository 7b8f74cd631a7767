"""What a trainer asks of the model it trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

__all__ = ["Trainable"]


class Trainable(Protocol):
    """A CrossEncoder, or what has these methods and is a torch module."""

    processor: Any
    trust_remote_code: bool
    model_card_data: Any

    @property
    def num_labels(self) -> int:
        """Logits a pair gets."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def preprocess(self, inputs: Any, prompt: str | None = None, **kwargs: Any) -> dict[str, Any]:
        """Pairs to what `forward` takes."""
        ...

    def save_pretrained(self, path: str) -> None:
        """Write a folder that the class loads."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Weights by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take weights by name."""
        ...
