"""How much LambdaLoss lets each pair of documents count."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = [
    "BaseWeightingScheme",
    "LambdaRankScheme",
    "NDCGLoss1Scheme",
    "NDCGLoss2PPScheme",
    "NDCGLoss2Scheme",
    "NoWeightingScheme",
]


class BaseWeightingScheme(nn.Module):
    """Weights of pairs of a query's documents, which stand in the order of the model's logits.

    gain: (num_queries, max_documents), 2^label - 1 over the best DCG that the labels allow
    discount: (1, max_documents), log2(1 + place)
    true_sorted: (num_queries, max_documents), the labels, none below 0
    Returns weights that broadcast to (num_queries, max_documents, max_documents).
    """

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """Of the pair (i, j) at [:, i, j]."""
        raise NotImplementedError


class NoWeightingScheme(BaseWeightingScheme):
    """All pairs alike: RankNet."""

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """One."""
        return torch.ones((), device=gain.device)


class NDCGLoss1Scheme(BaseWeightingScheme):
    """The first document's part of nDCG. Pairs count in both directions, equal labels too."""

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """(num_queries, max_documents, 1)."""
        return (gain / discount).unsqueeze(2)


class NDCGLoss2Scheme(BaseWeightingScheme):
    """A tighter bound of nDCG: the difference of gains, by how far apart the two stand."""

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """(num_queries, max_documents, max_documents)."""
        places = torch.arange(gain.shape[1], device=gain.device)
        distance = (places.unsqueeze(1) - places.unsqueeze(0)).abs()
        inverse = discount[0].reciprocal()
        steps = (inverse[distance - 1] - inverse[distance]).abs()
        return steps.masked_fill(distance == 0, 0.0) * _gain_differences(gain)


class LambdaRankScheme(BaseWeightingScheme):
    """How much nDCG changes when the two change places."""

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """(num_queries, max_documents, max_documents)."""
        inverse = discount.reciprocal()
        return (inverse.unsqueeze(2) - inverse.unsqueeze(1)).abs() * _gain_differences(gain)


class NDCGLoss2PPScheme(BaseWeightingScheme):
    """NDCGLoss2 and LambdaRank together. mu: weight of the former."""

    def __init__(self, mu: float = 10.0) -> None:
        super().__init__()
        self.mu = mu
        self.ndcg_loss2 = NDCGLoss2Scheme()
        self.lambda_rank = LambdaRankScheme()

    def forward(self, gain: Tensor, discount: Tensor, true_sorted: Tensor) -> Tensor:
        """(num_queries, max_documents, max_documents)."""
        bound: Tensor = self.ndcg_loss2(gain, discount, true_sorted)
        swap: Tensor = self.lambda_rank(gain, discount, true_sorted)
        return self.mu * bound + swap


def _gain_differences(gain: Tensor) -> Tensor:
    return (gain.unsqueeze(2) - gain.unsqueeze(1)).abs()
