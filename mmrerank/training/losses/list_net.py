"""The chance to come first, by labels and by logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, checked_model
from mmrerank.training.losses.lists import score_lists

__all__ = ["ListNetLoss"]


class ListNetLoss(nn.Module):
    """Cross-entropy of softmax(labels) and softmax(logits) over a query's documents.

    Data: (query, documents) and a number for each document; lists may differ in length.
    mini_batch_size: pairs that go through the model at a time; None: as many as there are queries
    in the batch; 0 or less: all.
    """

    label_rule: ClassVar[LabelRule] = LabelRule("list")
    citation: ClassVar[str] = """
@inproceedings{cao2007learning,
    title={Learning to Rank: From Pairwise Approach to Listwise Approach},
    author={Cao, Zhe and Qin, Tao and Liu, Tie-Yan and Tsai, Ming-Feng and Li, Hang},
    booktitle={Proceedings of the 24th International Conference on Machine Learning},
    pages={129--136},
    year={2007}
}
"""

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        self.activation_fn = activation_fn or nn.Identity()
        self.mini_batch_size = mini_batch_size

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Sequence[Tensor],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, lists of documents). Returns a scalar: the mean over queries
        that have documents.
        """
        batch = score_lists(self, inputs, labels, prompt=prompt, task=task)
        has_documents = batch.mask.any(dim=1)
        logits = batch.logit_matrix(fill=-1e16)[has_documents]
        targets = batch.label_matrix(fill=float("-inf"))[has_documents].softmax(dim=1)
        return nn.functional.cross_entropy(logits, targets)

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "activation_fn": activation_name(self.activation_fn),
            "mini_batch_size": self.mini_batch_size,
        }
