"""A teacher's score for each pair."""

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

__all__ = ["MSELoss"]


class MSELoss(nn.Module):
    """Mean squared difference of a pair's logit and its label.

    Data: (query, document) and any number; labels of a teacher that ends in a sigmoid want
    activation_fn=torch.nn.Sigmoid() here too. kwargs go to torch.nn.MSELoss.
    """

    label_rule: ClassVar[LabelRule] = LabelRule("number")
    citation: ClassVar[str] = ""

    def __init__(self, model: Any, activation_fn: nn.Module = IDENTITY, **kwargs: Any) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        self.activation_fn = activation_fn
        self.loss_fct = nn.MSELoss(**kwargs)

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
        loss: Tensor = self.loss_fct(self.activation_fn(logits), targets.to(logits.device))
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {"activation_fn": activation_name(self.activation_fn)}
