"""One class out of several for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError
from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, check_columns, checked_model
from mmrerank.training.losses.pairs import row_logits

__all__ = ["CrossEntropyLoss"]


class CrossEntropyLoss(nn.Module):
    """Cross-entropy over the model's labels.

    Data: (query, document) and the number of a class, or a list of a probability for each.
    kwargs go to torch.nn.CrossEntropyLoss.
    """

    label_rule: LabelRule = LabelRule("class", ignored=-100)
    citation: ClassVar[str] = ""

    def __init__(self, model: Any, activation_fn: nn.Module = IDENTITY, **kwargs: Any) -> None:
        super().__init__()
        self.model = checked_model(self, model, num_labels=None)
        self.activation_fn = activation_fn
        self.ce_loss = nn.CrossEntropyLoss(**kwargs)
        self.label_rule = replace(type(self).label_rule, ignored=self.ce_loss.ignore_index)

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Tensor,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, documents). labels: integers (num_rows,) or (num_rows, 1), or
        probabilities (num_rows, num_labels). Returns a scalar.
        """
        check_columns(type(self).__name__, self.label_rule, inputs)
        logits = self.activation_fn(row_logits(self.model, inputs, prompt=prompt, task=task))
        loss: Tensor = self.ce_loss(logits, self._targets(labels, logits).to(logits.device))
        return loss

    def _targets(self, labels: Tensor | Sequence[Tensor] | None, logits: Tensor) -> Tensor:
        name = type(self).__name__
        if labels is None:
            raise InputError(f"{name} needs labels: give the data a column 'label'.")
        if not isinstance(labels, Tensor):
            labels = torch.stack([torch.as_tensor(label) for label in labels])
        if labels.is_floating_point() and labels.shape == logits.shape:
            return labels.to(logits.dtype)
        if labels.is_floating_point() or labels.numel() != len(logits):
            raise InputError(
                f"{name} expects {len(logits)} integers, or probabilities of shape "
                f"{tuple(logits.shape)}, but got {labels.dtype} labels of shape "
                f"{tuple(labels.shape)}."
            )
        return labels.reshape(-1).long()

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {"activation_fn": activation_name(self.activation_fn)}
