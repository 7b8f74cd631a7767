"""Yes-or-no labels, or numbers between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import (
    IDENTITY,
    check_columns,
    checked_model,
    labels_of_rows,
)
from mmrerank.training.losses.pairs import row_logits

__all__ = ["BinaryCrossEntropyLoss"]


class BinaryCrossEntropyLoss(nn.Module):
    """Binary cross-entropy of a pair's logit: up for label 1, down for label 0.

    Data: (query, document) and a label from 0 to 1. The model gives one score a pair.
    pos_weight: scalar tensor, how much more a relevant pair counts. kwargs go to
    torch.nn.BCEWithLogitsLoss.
    """

    label_rule: ClassVar[LabelRule] = LabelRule(
        "number",
        low=0.0,
        high=1.0,
        why="outside of that the loss has no lowest value and training runs away",
    )
    citation: ClassVar[str] = ""

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module = IDENTITY,
        pos_weight: Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        self.activation_fn = activation_fn
        self.pos_weight = pos_weight
        self.bce_with_logits_loss = nn.BCEWithLogitsLoss(pos_weight=pos_weight, **kwargs)

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Tensor,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, documents). Returns a scalar; InputError for other shapes."""
        name = type(self).__name__
        check_columns(name, self.label_rule, inputs)
        targets = labels_of_rows(name, labels, len(inputs[0]))
        logits = row_logits(self.model, inputs, prompt=prompt, task=task).view(-1)
        loss: Tensor = self.bce_with_logits_loss(
            self.activation_fn(logits), targets.to(logits.device)
        )
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "activation_fn": activation_name(self.activation_fn),
            "pos_weight": None if self.pos_weight is None else self.pos_weight.tolist(),
        }
