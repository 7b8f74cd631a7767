"""All metrics that judged pairs and their scores allow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmrerank.errors import InputError
from mmrerank.evaluation.classification import binary_metrics
from mmrerank.evaluation.data import EvalData
from mmrerank.evaluation.evaluator import one_score_a_pair
from mmrerank.evaluation.metrics import correlations, f1_of_classes
from mmrerank.extras import require

__all__ = ["CUTOFFS", "Measured", "calibration_error", "measure", "probabilities"]

CUTOFFS = (1, 3, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class Measured:
    """metrics: by name, of the model. before: the ranking ones, of an earlier stage.

    primary: the name of the metric to look at first. ndcg: by curve and cut-off, for a plot.
    """

    metrics: Mapping[str, float]
    primary: str
    before: Mapping[str, float] = field(default_factory=dict)
    ndcg: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    notes: Sequence[str] = ()


def measure(data: EvalData, scores: Any, *, cutoffs: Sequence[int] = CUTOFFS) -> Measured:
    """What the data allow: ranking metrics where queries have several documents and a relevant
    one, accuracy and the like for labels 0 and 1, correlation for other labels, F1 of classes for
    a model with several labels.

    scores: (num_pairs,), or (num_pairs, num_labels). Raises InputError where labels and model do
    not fit each other.
    """
    labels, scores = np.asarray(data.labels), np.asarray(scores)
    if scores.ndim == 2 and scores.shape[1] > 1:
        return Measured(_of_classes(labels, scores), "f1_macro")
    scores = one_score_a_pair(scores.reshape(len(labels)), "this evaluation")
    metrics: dict[str, float] = {}
    before: dict[str, float] = {}
    curves: dict[str, Mapping[int, float]] = {}
    is_ranking = _is_ranking(data)
    if is_ranking:
        cutoffs = _useful(cutoffs, data)
        metrics |= _of_rankings(data, _by_query(data, scores), cutoffs)
        curves["reranked"] = _curve(metrics)
        if data.first_stage:
            before = _of_rankings(data, _by_place(data.first_stage), cutoffs)
            curves = {"before": _curve(before), **curves}
    is_binary = set(np.unique(labels)) <= {0.0, 1.0}
    if is_binary:
        found = binary_metrics(scores, labels)
        metrics |= {key: float(value) for key, value in found.items()}
        if len(set(labels)) == 2:
            metrics["calibration_error"] = calibration_error(probabilities(scores), labels)
    elif len(labels) > 1:
        pearson, spearman = correlations(data.labels, scores)
        metrics |= {"pearson": pearson, "spearman": spearman}
    primary = "average_precision" if is_binary else "spearman"
    return Measured(metrics, f"ndcg@{_main(cutoffs)}" if is_ranking else primary, before, curves)


def _of_classes(labels: Any, scores: Any) -> dict[str, float]:
    num_labels = scores.shape[1]
    if not np.all((labels == np.round(labels)) & (labels >= 0) & (labels < num_labels)):
        raise InputError(
            f"the model has {num_labels} classes, so labels must be whole numbers from 0 to "
            f"{num_labels - 1}; the data have {labels.min():g} to {labels.max():g}."
        )
    predicted = np.argmax(scores, axis=1)
    return {
        **f1_of_classes(predicted, labels.astype(int)),
        "accuracy": float(np.mean(predicted == labels)),
    }


# ------------------------------------------------------------ rankings


def _is_ranking(data: EvalData) -> bool:
    """Whether some query has a better and a worse document, by grades of whole numbers."""
    grades = [grade for of_query in data.judgements.values() for grade in of_query.values()]
    if any(grade != int(grade) for grade in grades) or max(grades) <= 0:
        return False
    seen: dict[str, set[float]] = {}
    for judged in data.pairs:
        seen.setdefault(judged.query_id, set()).add(judged.label)
    return any(len(labels) > 1 for labels in seen.values())


def _by_query(data: EvalData, scores: Any) -> dict[str, dict[str, float]]:
    run: dict[str, dict[str, float]] = {}
    for judged, score in zip(data.pairs, scores, strict=True):
        run.setdefault(judged.query_id, {})[judged.document_id] = float(score)
    return run


def _by_place(rankings: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    return {
        query: {document: -float(place) for place, document in enumerate(documents)}
        for query, documents in rankings.items()
    }


def _of_rankings(
    data: EvalData, run: Mapping[str, Mapping[str, float]], cutoffs: Sequence[int]
) -> dict[str, float]:
    """Mean over all queries that have a relevant document; one without any candidate counts 0."""
    ir = require("ir_measures", to="evaluate")
    qrels = {
        query: {document: int(grade) for document, grade in grades.items()}
        for query, grades in data.judgements.items()
        if max(grades.values()) > 0
    }
    main = _main(cutoffs)
    wanted = {f"ndcg@{k}": ir.nDCG @ k for k in cutoffs}
    wanted |= {"map": ir.AP, f"mrr@{main}": ir.RR @ main, f"precision@{main}": ir.P @ main}
    wanted |= {f"recall@{k}": ir.R @ k for k in cutoffs}
    found = ir.calc_aggregate(wanted.values(), qrels, run)
    first = f"ndcg@{main}"
    return {key: float(found[wanted[key]]) for key in dict.fromkeys((first, "map", *wanted))}


def _useful(cutoffs: Sequence[int], data: EvalData) -> list[int]:
    """Without those that say the same again, since no query has more documents."""
    num_documents = Counter(judged.query_id for judged in data.pairs)
    most = max(*num_documents.values(), 10)
    return [k for k in cutoffs if k <= most] or list(cutoffs[:1])


def _main(cutoffs: Sequence[int]) -> int:
    return 10 if 10 in cutoffs else cutoffs[-1]


def _curve(metrics: Mapping[str, float]) -> dict[int, float]:
    return {
        int(key.removeprefix("ndcg@")): value
        for key, value in metrics.items()
        if key.startswith("ndcg@")
    }


# ------------------------------------------------------------ calibration


def probabilities(scores: Any) -> Any:
    """Scores as they are where all lie between 0 and 1; others are logits and take a sigmoid."""
    scores = np.asarray(scores, dtype=float)
    if scores.size and (scores.min() < 0 or scores.max() > 1):
        return 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
    return scores


def calibration_error(predicted: Any, labels: Any, *, num_bins: int = 10) -> float:
    """Expected calibration error: how far the share of matches is from the predicted probability,
    over bins of equal width, weighted by their size. Between 0 and 1.
    """
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    bins = np.clip((predicted * num_bins).astype(int), 0, num_bins - 1)
    gaps = [
        np.mean(bins == one) * abs(predicted[bins == one].mean() - labels[bins == one].mean())
        for one in np.unique(bins)
    ]
    return math.fsum(gaps)
