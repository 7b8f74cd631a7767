"""The chance of the right order, drawn a document at a time from the top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, checked_model, class_path
from mmrerank.training.losses.lists import score_lists

__all__ = ["PListMLELambdaWeight", "PListMLELoss"]


class PListMLELambdaWeight(nn.Module):
    """How much each place of the order counts.

    rank_discount_fn: bool mask (num_queries, max_documents) -> weights of that shape. Without it
    place i of n counts 2^(n - i) - 1.
    """

    def __init__(self, rank_discount_fn: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.rank_discount_fn = rank_discount_fn

    def forward(self, mask: Tensor) -> Tensor:
        """mask: bool (num_queries, max_documents). Returns weights of that shape, any scale."""
        if self.rank_discount_fn is not None:
            return self.rank_discount_fn(mask)
        num_documents = mask.sum(dim=1, keepdim=True)
        places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        # 2^128 is no float32; only ratios count, so longer lists are scaled down.
        excess = (num_documents - 127).clamp(min=0)
        weights = torch.pow(2.0, num_documents - places - excess) - torch.pow(2.0, -excess)
        return weights * mask


_DEFAULT_WEIGHT = PListMLELambdaWeight()


class PListMLELoss(nn.Module):
    """Negative log-likelihood of the documents' order (Plackett-Luce), places weighted.

    Data: (query, documents) and a number for each document; lists may differ in length.
    lambda_weight: None weighs all places alike, which is ListMLE.
    respect_input_order: True takes documents as given, most relevant first, and reads no label;
    False orders them by label.
    mini_batch_size: as in ListNetLoss.
    """

    label_rule: LabelRule = LabelRule("list")
    citation = """
@inproceedings{lan2014position,
    title={Position-Aware ListMLE: A Sequential Learning Process for Ranking},
    author={Lan, Yanyan and Zhu, Yadong and Guo, Jiafeng and Niu, Shuzi and Cheng, Xueqi},
    booktitle={Proceedings of the 30th Conference on Uncertainty in Artificial Intelligence},
    pages={449--458},
    year={2014}
}
"""
    eps: ClassVar[float] = 1e-10

    def __init__(
        self,
        model: Any,
        lambda_weight: PListMLELambdaWeight | None = _DEFAULT_WEIGHT,
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
        respect_input_order: bool = True,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        self.lambda_weight = lambda_weight
        self.activation_fn = activation_fn or nn.Identity()
        self.mini_batch_size = mini_batch_size
        self.respect_input_order = respect_input_order
        self.label_rule = replace(type(self).label_rule, is_ordered=respect_input_order)

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Sequence[Tensor],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, lists of documents). Returns a scalar, the mean over
        queries.
        """
        batch = score_lists(self, inputs, labels, prompt=prompt, task=task)
        lowest = torch.finfo(torch.float32).min
        logits = batch.logit_matrix(fill=lowest)
        if not self.respect_input_order:
            # Places without a document stay at the end, so the mask is right for both orders.
            targets = batch.label_matrix(fill=float("-inf"))
            logits = logits.gather(1, targets.sort(dim=1, descending=True, stable=True).indices)
        # Of each place: the log of the sum over it and all that come after.
        remaining = logits.flip(1).logcumsumexp(dim=1).flip(1)
        log_chances = logits - remaining
        if self.lambda_weight is not None:
            weights = self.lambda_weight(batch.mask)
            log_chances = log_chances * (weights / (weights.sum(dim=1, keepdim=True) + self.eps))
        return -log_chances.masked_fill(~batch.mask, 0.0).sum(dim=1).mean()

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "lambda_weight": self.lambda_weight and class_path(self.lambda_weight),
            "activation_fn": activation_name(self.activation_fn),
            "mini_batch_size": self.mini_batch_size,
            "respect_input_order": self.respect_input_order,
        }
