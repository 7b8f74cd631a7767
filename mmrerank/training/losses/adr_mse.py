"""Ranks made smooth, against the ranks of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, checked_model
from mmrerank.training.losses.lists import ListBatch, score_lists

__all__ = ["ADRMSELoss"]


class ADRMSELoss(nn.Module):
    """Squared difference of a document's approximate rank and its rank by label, the first ranks
    counting most (by 1 / log2(1 + rank), as in nDCG).

    Data: (query, documents) and a number for each document; lists may differ in length. Equal
    labels share the mean of their ranks. alpha: how sharply a difference of logits makes ranks.
    mini_batch_size: as in ListNetLoss.
    """

    label_rule: ClassVar[LabelRule] = LabelRule("list")
    citation: ClassVar[str] = """
@inproceedings{schlatt2025rankdistillm,
    title={Rank-DistiLLM: Closing the Effectiveness Gap Between Cross-Encoders and LLMs for Passage
        Re-ranking},
    author={Schlatt, Ferdinand and Fr{\\"o}be, Maik and Scells, Harrisen and Zhuang, Shengyao and
        Koopman, Bevan and Zuccon, Guido and Stein, Benno and Potthast, Martin and Hagen, Matthias},
    booktitle={Advances in Information Retrieval (ECIR 2025)},
    year={2025},
    doi={10.1007/978-3-031-88714-7_31}
}
"""

    def __init__(
        self,
        model: Any,
        alpha: float = 1.0,
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        self.alpha = alpha
        self.activation_fn = activation_fn or nn.Identity()
        self.mini_batch_size = mini_batch_size

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Sequence[Tensor],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, lists of documents). Returns a scalar, the mean over all
        documents.
        """
        batch = score_lists(self, inputs, labels, prompt=prompt, task=task)
        wanted = _label_ranks(batch)
        ranks = self.approximate_ranks(batch.logit_matrix(fill=0.0), batch.mask)
        errors = (wanted - ranks).square() / torch.log2(wanted + 1.0)
        return errors[batch.mask].mean()

    def approximate_ranks(self, scores: Tensor, mask: Tensor) -> Tensor:
        """1 + sum of sigmoid(alpha · (other - own)) over a row's other documents.

        scores, mask: (num_queries, max_documents). What stands outside the mask means nothing.
        """
        others_above = torch.sigmoid(self.alpha * (scores.unsqueeze(1) - scores.unsqueeze(2)))
        # The document itself is among them, with sigmoid(0) = 0.5.
        return 0.5 + (others_above * mask.unsqueeze(1)).sum(dim=2)

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "alpha": self.alpha,
            "activation_fn": activation_name(self.activation_fn),
            "mini_batch_size": self.mini_batch_size,
        }


def _label_ranks(batch: ListBatch) -> Tensor:
    """Ranks by label from 1, highest first, equal labels at the mean of theirs; 0.5 or more
    outside the mask. float32 (num_queries, max_documents).
    """
    labels = batch.label_matrix(fill=0.0)
    own, other = labels.unsqueeze(2), labels.unsqueeze(1)
    is_document = batch.mask.unsqueeze(1)
    num_above = ((other > own) & is_document).sum(dim=2)
    num_equal = ((other == own) & is_document).sum(dim=2)
    return num_above + (num_equal + 1) / 2
