"""How far a teacher puts the relevant document above each of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError
from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, check_columns, checked_model
from mmrerank.training.scoring import pair_logits

__all__ = ["MarginMSELoss"]


class MarginMSELoss(nn.Module):
    """Mean squared difference of score margins: the student's against the teacher's.

    Data: (query, positive, negative, …) and either the margins, one for each negative, or the
    teacher's scores of positive and negatives. kwargs go to torch.nn.MSELoss.
    """

    label_rule: ClassVar[LabelRule] = LabelRule("margins", min_columns=3, max_columns=None)
    citation: ClassVar[str] = """
@misc{hofstaetter2021improving,
    title={Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
        Distillation},
    author={Sebastian Hofst{\\"a}tter and Sophia Althammer and Michael Schr{\\"o}der and
        Mete Sertkan and Allan Hanbury},
    year={2021},
    eprint={2010.02666},
    archivePrefix={arXiv},
    primaryClass={cs.IR}
}
"""

    def __init__(self, model: Any, activation_fn: nn.Module = IDENTITY, **kwargs: Any) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        self.activation_fn = activation_fn
        self.loss_fct = nn.MSELoss(**kwargs)

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Tensor | list[Tensor],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, positives, negatives, …). labels: (num_rows,) for one negative,
        else (num_rows, num_negatives) margins or (num_rows, num_negatives + 1) scores, as one
        tensor or one a row. Returns a scalar.
        """
        check_columns(type(self).__name__, self.label_rule, inputs)
        queries, *columns = inputs
        wanted = self._margins(labels, len(queries), len(columns) - 1)
        # Row by row, so that prompts with the same query stand side by side.
        pairs = [
            (query, document)
            for query, *documents in zip(queries, *columns, strict=True)
            for document in documents
        ]
        logits = pair_logits(self.model, pairs, prompt=prompt, task=task).float().view(-1)
        scores = self.activation_fn(logits).view(len(queries), -1)  # positive first
        margins = scores[:, :1] - scores[:, 1:]
        loss: Tensor = self.loss_fct(margins, wanted.to(margins.device))
        return loss

    def _margins(
        self, labels: Tensor | list[Tensor] | None, num_rows: int, num_negatives: int
    ) -> Tensor:
        if labels is None:
            raise InputError(f"{type(self).__name__} needs labels: a teacher's margins or scores.")
        if not isinstance(labels, Tensor):
            labels = torch.stack([torch.as_tensor(label) for label in labels])
        labels = labels.detach().float()
        if labels.shape == (num_rows, num_negatives + 1):
            labels = labels[:, :1] - labels[:, 1:]
        elif labels.shape == (num_rows,):
            labels = labels.unsqueeze(1)
        if labels.shape != (num_rows, num_negatives):
            raise InputError(
                f"{type(self).__name__}: Labels shape {tuple(labels.shape)} does not match "
                f"expected shape {(num_rows, num_negatives)}. A label is a list of {num_negatives} "
                "margins (score of the positive less that of a negative), or of "
                f"{num_negatives + 1} scores with that of the positive first."
            )
        return labels

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {"activation_fn": activation_name(self.activation_fn)}
