"""Packed rows in training: pairs through the line that scores them, with gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from mmrerank.cross_encoder import calls
from mmrerank.cross_encoder.settings import Settings
from mmrerank.errors import InputError
from mmrerank.types import Pair

__all__ = ["Packing"]

_PROMPTS = "packed_prompts"


class Packing(Settings):
    """What losses ask of a model beside the peer's `preprocess` and `forward`."""

    # Set by the training argument of the same name.
    train_packed: bool = True

    if TYPE_CHECKING:  # CrossEncoder's

        def preprocess(self, inputs: Any, prompt: str | None = None) -> dict[str, Any]: ...

    def preprocess_for_training(self, inputs: Any, prompt: str | None = None) -> dict[str, Any]:
        """Pairs to what `forward` takes: encoded prompts where this model's rows are packed in
        training, else what `preprocess` gives. Raises InputError for a listwise model.
        """
        self.refuse_listwise("trained")
        if not (self.train_packed and self.pipeline.trains_packed):
            return self.preprocess(inputs, prompt=prompt)
        parsed = calls.parse_inputs(inputs, self, "raise")
        pairs = calls.with_instructions(parsed.pairs, None, prompt)
        return {_PROMPTS: self.pipeline.encode([p for p in pairs if isinstance(p, Pair)])}

    def refuse_listwise(self, what: str) -> None:
        """Raise InputError for a listwise model, which has no form of single pairs."""
        if self.spec.listwise is not None:
            raise InputError(
                f"{self.spec.name} is listwise: its scores come of all documents of a query "
                f"together, and it cannot be {what} pair by pair. Use rank() or predict() to score."
            )

    def forward(self, input: dict[str, Any]) -> dict[str, Any]:
        """Writes `scores`, the raw logits (num_pairs, num_labels), into the features.

        input: of `preprocess` or `preprocess_for_training`.
        """
        if _PROMPTS in input:
            logits: Tensor = self.pipeline.logits_with_gradients(*input[_PROMPTS])
            return {**input, "scores": logits}
        result: dict[str, Any] = super().forward(input)  # type: ignore[no-untyped-call]
        return result
