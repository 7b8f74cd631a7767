"""From candidates to negatives: what is struck out, and which of the rest are taken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmrerank.training.negatives.options import Limits
from mmrerank.training.negatives.search import NONE, OUT, Candidates

__all__ = ["Chosen", "choose", "strike_out"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Negatives of each query, best first: (num_queries, num_negatives) each.

    A score of -inf stands where there were not enough.
    """

    scores: Tensor
    places: Tensor


def strike_out(
    candidates: Candidates,
    positives: Sequence[Sequence[int]],
    limits: Limits,
    *,
    include_positives: bool,
) -> dict[str, int]:
    """Give -inf to what is no negative. Returns how many each limit struck out, by its name."""
    scores, places = candidates.scores, candidates.places
    scores[places == NONE] = OUT
    if not include_positives:
        for row, own in enumerate(positives):
            scores[row][torch.isin(places[row], torch.tensor(own))] = OUT
    struck = {}
    weakest = _weakest_positive(candidates.positive_scores, positives).unsqueeze(1)
    if limits.absolute_margin is not None:
        struck["absolute_margin"] = _out(scores, scores + limits.absolute_margin > weakest)
    if limits.relative_margin is not None:
        # A share of the size: for a score below 0, "5 % less" lies further below.
        highest = weakest - weakest.abs() * limits.relative_margin
        struck["relative_margin"] = _out(scores, scores > highest)
    if limits.max_score is not None:
        struck["max_score"] = _out(scores, scores > limits.max_score)
    if limits.min_score is not None:
        struck["min_score"] = _out(scores, scores < limits.min_score)
    return struck


def choose(candidates: Candidates, limits: Limits) -> Chosen:
    """The best of the ranks asked for, or some of them at random (from `random`, as the peer)."""
    best = torch.topk(candidates.scores, k=limits.range_max, dim=1)
    places = candidates.places.gather(1, best.indices)[:, limits.range_min :]
    scores = best.values[:, limits.range_min :]
    if limits.sampling_strategy == "top":
        return Chosen(scores[:, : limits.num_negatives], places[:, : limits.num_negatives])
    # What was struck out stands last and is drawn only where there is too little else.
    num_left = (scores.shape[1] - scores.isinf().sum(1)).clamp(min=limits.num_negatives)
    drawn = torch.tensor(
        [random.sample(range(num), k=limits.num_negatives) for num in num_left.tolist()]
    )
    scores, order = scores.gather(1, drawn).sort(dim=1, descending=True)
    return Chosen(scores, places.gather(1, drawn).gather(1, order))


def _weakest_positive(scores: Tensor, positives: Sequence[Sequence[int]]) -> Tensor:
    """(num_queries,): the lowest score among each query's positives."""
    parts = torch.split(scores, [len(own) for own in positives])
    return torch.stack([part.min() for part in parts])


def _out(scores: Tensor, mask: Tensor) -> int:
    mask &= scores != OUT
    scores[mask] = OUT
    return int(mask.sum())
