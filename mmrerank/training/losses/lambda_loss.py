"""Pairs of documents in the wrong order, weighted by what they cost a ranking metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError, shorten
from mmrerank.heads import activation_name
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import IDENTITY, checked_model, class_path
from mmrerank.training.losses.lambda_weighting import (
    BaseWeightingScheme,
    NDCGLoss1Scheme,
    NDCGLoss2PPScheme,
    NoWeightingScheme,
)
from mmrerank.training.losses.lists import score_lists

__all__ = ["LambdaLoss"]

_DEFAULT_SCHEME = NDCGLoss2PPScheme()
# Differences of logits are cut here: that of a document and an empty place would be 1e16.
_MAX_DIFFERENCE = 1e8


class LambdaLoss(nn.Module):
    """Log-loss of each pair of a query's documents with different labels, weighted by a scheme.

    Data: (query, documents) and a number for each document, 0 for irrelevant; lists may differ in
    length.
    weighting_scheme: None is NoWeightingScheme(). k: only pairs with a document in the model's top
    k count. sigma: factor on differences of logits. eps: least best DCG. reduction_log: "natural"
    or "binary". mini_batch_size: as in ListNetLoss.
    """

    label_rule = LabelRule("list", high=100.0, why="gains are 2^label, which is then no float32")
    citation = """
@inproceedings{wang2018lambdaloss,
    title={The LambdaLoss Framework for Ranking Metric Optimization},
    author={Wang, Xuanhui and Li, Cheng and Golbandi, Nadav and Bendersky, Michael and
        Najork, Marc},
    booktitle={Proceedings of the 27th ACM International Conference on Information and Knowledge
        Management},
    pages={1313--1322},
    year={2018}
}
"""

    def __init__(
        self,
        model: Any,
        weighting_scheme: BaseWeightingScheme | None = _DEFAULT_SCHEME,
        k: int | None = None,
        sigma: float = 1.0,
        eps: float = 1e-10,
        reduction_log: Literal["natural", "binary"] = "binary",
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.model = checked_model(self, model)
        if reduction_log not in ("natural", "binary"):
            raise InputError(
                f'reduction_log={shorten(reduction_log)}: allowed are "natural" and "binary".'
            )
        self.weighting_scheme = weighting_scheme or NoWeightingScheme()
        self.k = k
        self.sigma = sigma
        self.eps = eps
        self.reduction_log = reduction_log
        self.activation_fn = activation_fn or nn.Identity()
        self.mini_batch_size = mini_batch_size

    def forward(
        self,
        inputs: Sequence[Sequence[Any]],
        labels: Sequence[Tensor],
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """inputs: columns (queries, lists of documents). Returns a scalar, the mean over the pairs
        of documents that count; 0 when none does.
        """
        batch = score_lists(self, inputs, labels, prompt=prompt, task=task)
        logits, order = batch.logit_matrix(fill=-1e16).sort(dim=1, descending=True, stable=True)
        targets = batch.label_matrix(fill=float("-inf"))
        ranked = targets.gather(1, order)
        differences = (logits.unsqueeze(2) - logits.unsqueeze(1)).clamp(
            -_MAX_DIFFERENCE, _MAX_DIFFERENCE
        )
        losses = self._weights(ranked, targets) * nn.functional.logsigmoid(self.sigma * differences)
        if self.reduction_log == "binary":
            losses = losses / math.log(2)
        counted = losses[self._counted_pairs(ranked)]
        return -counted.sum() / max(counted.numel(), 1)

    def _counted_pairs(self, ranked: Tensor) -> Tensor:
        """ranked: labels in the model's order, -inf in empty places. bool (…, i, j)."""
        gaps = ranked.unsqueeze(2) - ranked.unsqueeze(1)
        is_counted = gaps.isfinite()
        if not isinstance(self.weighting_scheme, NDCGLoss1Scheme):
            is_counted &= gaps > 0
        is_top = torch.arange(ranked.shape[1], device=ranked.device) < (self.k or ranked.shape[1])
        return is_counted & (is_top.unsqueeze(1) | is_top.unsqueeze(0))

    def _weights(self, ranked: Tensor, targets: Tensor) -> Tensor:
        best = targets.sort(dim=1, descending=True).values.clamp(min=0.0)
        ranked = ranked.clamp(min=0.0)
        places = torch.arange(1, ranked.shape[1] + 1, device=ranked.device)
        discount = torch.log2(1.0 + places).unsqueeze(0)
        best_dcg = ((torch.pow(2, best) - 1) / discount)[:, : self.k].sum(dim=1, keepdim=True)
        gain = (torch.pow(2, ranked) - 1) / best_dcg.clamp(min=self.eps)
        weights: Tensor = self.weighting_scheme(gain, discount, ranked)
        return weights

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        return {
            "weighting_scheme": class_path(self.weighting_scheme),
            "k": self.k,
            "sigma": self.sigma,
            "eps": self.eps,
            "reduction_log": self.reduction_log,
            "activation_fn": activation_name(self.activation_fn),
            "mini_batch_size": self.mini_batch_size,
        }
