"""Numbers from scores and labels, and nothing else: no model, no file, no log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrerank.extras import require

__all__ = [
    "BestAccuracy",
    "BestF1",
    "RankingScores",
    "average_precision",
    "best_accuracy",
    "best_f1",
    "correlations",
    "f1_of_classes",
    "ranking_scores",
]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class BestAccuracy:
    """The highest accuracy that a threshold on the scores gives, and the threshold."""

    accuracy: float
    threshold: float


@dataclass(frozen=True, slots=True)
class BestF1:
    """The highest F1 that a threshold on the scores gives, and what belongs to it."""

    f1: float
    precision: float
    recall: float
    threshold: float


@dataclass(frozen=True, slots=True)
class RankingScores:
    """Of one query: reciprocal rank and nDCG within the first k, average precision of all."""

    mrr: float
    ndcg: float
    ap: float


def best_accuracy(scores: Array, labels: Array) -> BestAccuracy:
    """The threshold with most labels (0 or 1) on the right side; the highest one of equals.

    scores, labels: (num_pairs,). The threshold lies in the middle between two neighbouring scores,
    or above all of them where calling no pair a match is best.
    """
    ranked, hits, ends = _groups(scores, labels)
    num_negatives = np.sum(np.asarray(labels) == 0)
    misses = np.arange(1, len(ranked) + 1) - hits
    right = (hits + num_negatives - misses) / len(ranked)
    none_is_right = num_negatives / len(ranked)
    best = ends[np.argmax(right[ends])]
    if right[best] <= none_is_right:
        above = np.nextafter(ranked[0], np.inf, dtype=np.result_type(ranked.dtype, np.float16))
        return BestAccuracy(none_is_right, above)
    return BestAccuracy(right[best], _threshold_after(ranked, best))


def best_f1(scores: Array, labels: Array) -> BestF1:
    """The threshold with the highest F1 of the label 1; all zeros where no pair has that label."""
    ranked, hits, ends = _groups(scores, labels)
    found = ends[hits[ends] > 0]
    if not found.size:
        return BestF1(0, 0, 0, 0)
    precision = hits[found] / (found + 1)
    recall = hits[found] / np.sum(labels)
    f1 = 2 * precision * recall / (precision + recall)
    best = np.argmax(f1)
    return BestF1(f1[best], precision[best], recall[best], _threshold_after(ranked, found[best]))


def _groups(scores: Array, labels: Array) -> tuple[Array, Array, Array]:
    """Scores from high to low, hits up to each, and the last index of each run of equal scores.

    A threshold falls only between scores that differ.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked = np.asarray(scores)[order]
    hits = np.cumsum(np.asarray(labels)[order] == 1)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return ranked, hits, ends


def _threshold_after(ranked: Array, index: Any) -> Any:
    """Between this score and the next lower one; the score itself where it is the last."""
    if index == len(ranked) - 1:
        return ranked[index]
    middle = (ranked[index] + ranked[index + 1]) / 2
    # Rounded, the middle of two close numbers is one of them; the lower one would let it in.
    return ranked[index] if middle == ranked[index + 1] else middle


def average_precision(scores: Array, labels: Array) -> float:
    """Area under the steps of the precision-recall curve; 0 where no label is positive."""
    if not np.any(labels):
        return 0.0
    return float(require("sklearn.metrics", to="evaluate").average_precision_score(labels, scores))


def f1_of_classes(predicted: Array, labels: Array) -> dict[str, float]:
    """F1 over several classes: keys f1_macro, f1_micro, f1_weighted."""
    f1_score = require("sklearn.metrics", to="evaluate").f1_score
    return {
        f"f1_{average}": float(f1_score(labels, predicted, average=average))
        for average in ("macro", "micro", "weighted")
    }


def correlations(wanted: Sequence[float], scores: Array) -> tuple[float, float]:
    """Pearson's and Spearman's; NaN where all numbers of one side are equal."""
    if np.ptp(np.asarray(wanted, dtype=float)) == 0 or np.ptp(scores) == 0:
        return float("nan"), float("nan")
    stats = require("scipy.stats", to="evaluate")
    return float(stats.pearsonr(wanted, scores)[0]), float(stats.spearmanr(wanted, scores)[0])


def ranking_scores(is_relevant: Sequence[int], scores: Any, at_k: int) -> RankingScores:
    """How well scores rank the documents of one query. A lone relevant document counts 1."""
    sklearn = require("sklearn.metrics", to="evaluate")
    relevant, scores = np.asarray(is_relevant), np.asarray(scores)
    # The last of equal scores comes first, as in sentence-transformers.
    order = np.argsort(scores)[::-1]
    first = np.flatnonzero(relevant[order[:at_k]])
    mrr = 1 / (int(first[0]) + 1) if first.size else 0.0
    if len(relevant) > 1:
        ndcg = float(sklearn.ndcg_score([relevant], [scores], k=at_k))
    else:  # sklearn refuses to rank one document
        ndcg = float(relevant.sum() > 0)
    return RankingScores(mrr, ndcg, average_precision(scores, relevant))
