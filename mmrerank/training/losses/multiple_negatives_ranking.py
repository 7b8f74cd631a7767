"""Pairs that belong together, against the documents of the other rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError
from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import SIGMOID, check_columns, checked_model
from mmrerank.training.scoring import pair_logits

__all__ = ["MultipleNegativesRankingLoss"]


class MultipleNegativesRankingLoss(nn.Module):
    """Cross-entropy of picking a query's document among sampled documents of other rows and among
    the row's own negatives.

    Data: (query, positive) or (query, positive, negative, …); labels are not read.
    num_negatives: documents of other rows a query meets; None takes all of them.
    scale: factor on the scores after activation_fn, the inverse of a temperature.
    """

    label_rule: ClassVar[LabelRule] = LabelRule("none", min_columns=2, max_columns=None)
    citation: ClassVar[str] = ""

    def __init__(
        self,
        model: Any,
        num_negatives: int | None = 4,
        scale: float = 10.0,
        activation_fn: nn.Module | None = SIGMOID,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        if num_negatives is not None and num_negatives < 0:
            raise InputError(f"num_negatives={num_negatives}: need 0 or more, or None for all.")
        self.num_negatives = num_negatives
        self.scale = scale
        self.activation_fn = activation_fn
        self.cross_entropy_loss = nn.CrossEntropyLoss()

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, positives, negatives, …). Returns a scalar.

        Which documents are met comes from torch's random numbers, as many as the peer draws.
        """
        pairs = self.candidate_pairs(inputs)
        logits = pair_logits(self.model, pairs, prompt=prompt, task=task)
        return self.loss_of(logits.view(-1), len(inputs[0]))

    def candidate_pairs(self, inputs: Sequence[Sequence[Any]]) -> list[tuple[Any, Any]]:
        """All pairs to be scored, a query's together: its positive, sampled documents, its own
        negatives.
        """
        check_columns(type(self).__name__, self.label_rule, inputs)
        queries, positives, *negatives = inputs
        documents = [document for column in inputs[1:] for document in column]
        sampled = _other_rows(len(queries), len(inputs) - 1, self.num_negatives).tolist()
        return [
            (query, document)
            for row, query in enumerate(queries)
            for document in (
                positives[row],
                *(documents[index] for index in sampled[row]),
                *(column[row] for column in negatives),
            )
        ]

    def loss_of(self, logits: Tensor, num_rows: int) -> Tensor:
        """logits: (num_pairs,) in the order of `candidate_pairs`. Returns a scalar."""
        scores = logits.float().view(num_rows, -1)  # column 0 is the positive
        if self.activation_fn is not None:
            scores = self.activation_fn(scores)
        if self.scale:
            scores = scores * self.scale
        positives = torch.zeros(num_rows, dtype=torch.long, device=scores.device)
        loss: Tensor = self.cross_entropy_loss(scores, positives)
        return loss

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "scale": self.scale,
            "num_negatives": self.num_negatives,
            "activation_fn": self.activation_fn and activation_name(self.activation_fn),
        }


def _other_rows(num_rows: int, num_columns: int, num_wanted: int | None) -> Tensor:
    """For each row, indices of documents of other rows, int64 (num_rows, num_sampled).

    Documents are numbered column by column. None, or a number that there are not more than, takes
    all in order.
    """
    is_other = ~torch.eye(num_rows, dtype=torch.bool).repeat(1, num_columns)
    num_others = (num_rows - 1) * num_columns
    if num_wanted is None or num_wanted >= num_others:
        every = torch.arange(num_rows * num_columns).expand(num_rows, -1)
        return every[is_other].view(num_rows, num_others)
    if num_wanted == 0:
        return torch.empty(num_rows, 0, dtype=torch.long)
    return torch.multinomial(is_other.float(), num_wanted)
