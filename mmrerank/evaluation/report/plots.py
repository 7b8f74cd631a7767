"""One picture a question: what the scores look like, and how good they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmrerank.evaluation.measure import calibration_error, probabilities
from mmrerank.evaluation.report.content import EvalReport
from mmrerank.evaluation.report.drawing import (
    AFTER,
    BEFORE,
    FAINT,
    NEGATIVE,
    POSITIVE,
    draw,
    label_axes,
)
from mmrerank.extras import require

__all__ = ["plots_of"]

_NUM_BINS = 10


def plots_of(report: EvalReport) -> Iterator[tuple[str, str, str]]:
    """(title, sentence, svg) of each picture that the report has numbers for."""
    loss, held_out = _series(report.log_history, "loss"), _series(report.log_history, "eval_loss")
    if loss or held_out:
        yield (
            "Loss",
            "By training step.",
            draw("loss curve", lambda axes: _paint_loss(axes, loss, held_out)),
        )
    if any(len(curve) > 1 for curve in report.ndcg.values()):
        yield (
            "nDCG by cut-off",
            "How well the first k documents of a query are ranked, mean over queries.",
            draw("nDCG by cut-off", lambda axes: _paint_ndcg(axes, report.ndcg)),
        )
    scores, labels = np.asarray(report.scores, dtype=float), np.asarray(report.labels) > 0
    if not scores.size or labels.all() or not labels.any():
        return
    yield (
        "Scores",
        "How often positives and negatives get which score, each as a share of its kind.",
        draw("score distribution", lambda axes: _paint_scores(axes, scores, labels)),
    )
    yield (
        "Precision and recall",
        "One point a threshold; the dashed line is what guessing gives.",
        draw("precision and recall", lambda axes: _paint_precision(axes, scores, labels)),
    )
    predicted = probabilities(scores)
    error = calibration_error(predicted, labels)
    made = "" if np.array_equal(predicted, scores) else " Scores are logits: a sigmoid was taken."
    yield (
        "Reliability",
        "Of pairs scored about p, a share of p should match. Larger dots stand for more pairs. "
        f"Expected calibration error {error:.3f}.{made}",
        draw("reliability", lambda axes: _paint_reliability(axes, predicted, labels)),
    )


def _series(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """(step, value) of a logged number; entries that are broken or not finite are left out."""
    found = [(entry.get("step"), entry.get(key)) for entry in history]
    return [
        (float(step), float(value))
        for step, value in found
        if isinstance(step, (int, float)) and isinstance(value, (int, float))
        if math.isfinite(step) and math.isfinite(value)
    ]


# ------------------------------------------------------------ painters


def _paint_loss(axes: Any, loss: Sequence[Any], held_out: Sequence[Any]) -> None:
    for points, name, colour in ((loss, "training", AFTER), (held_out, "held-out", POSITIVE)):
        if points:
            style = {"marker": "o", "markersize": 4} if len(points) < 30 else {}
            axes.plot(*zip(*points, strict=True), color=colour, label=name, **style)
    label_axes(axes, "step", "loss")
    axes.legend()


def _paint_ndcg(axes: Any, curves: Mapping[str, Mapping[int, float]]) -> None:
    for name, curve in curves.items():
        is_base = name == "before" and len(curves) > 1
        places = sorted(curve)
        axes.plot(
            range(len(places)),
            [curve[place] for place in places],
            color=BEFORE if is_base else AFTER,
            linestyle="--" if is_base else "-",
            marker="o",
            markersize=5,
            label=name,
        )
        axes.set_xticks(range(len(places)), [str(place) for place in places])
    axes.set_ylim(0, 1.03)
    label_axes(axes, "k", "nDCG@k")
    if len(curves) > 1:
        axes.legend(loc="lower right")


def _paint_scores(axes: Any, scores: Any, labels: Any) -> None:
    edges = np.histogram_bin_edges(scores, bins=24)
    for chosen, name, colour in ((~labels, "negatives", NEGATIVE), (labels, "positives", POSITIVE)):
        weights = np.full(chosen.sum(), 1 / chosen.sum())
        shown = f"{name} ({chosen.sum():,})"
        style = {"color": colour, "alpha": 0.35, "label": shown}
        axes.hist(scores[chosen], bins=edges, weights=weights, **style)
        outline = {"histtype": "step", "color": colour, "linewidth": 1.4}
        axes.hist(scores[chosen], bins=edges, weights=weights, **outline)
    label_axes(axes, "score", "share")
    axes.legend()


def _paint_precision(axes: Any, scores: Any, labels: Any) -> None:
    curve = require("sklearn.metrics", to="draw a report").precision_recall_curve
    precision, recall, _ = curve(labels, scores)
    axes.step(recall, precision, where="post", color=AFTER)
    axes.axhline(labels.mean(), color=BEFORE, linestyle="--", linewidth=1.2)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.03)
    label_axes(axes, "recall", "precision")


def _paint_reliability(axes: Any, predicted: Any, labels: Any) -> None:
    bins = np.clip((predicted * _NUM_BINS).astype(int), 0, _NUM_BINS - 1)
    used = np.unique(bins)
    x = [predicted[bins == one].mean() for one in used]
    y = [labels[bins == one].mean() for one in used]
    share = np.array([np.mean(bins == one) for one in used])
    axes.plot([0, 1], [0, 1], color=BEFORE, linestyle="--", linewidth=1.2)
    axes.plot(x, y, color=AFTER)
    axes.scatter(x, y, s=20 + 180 * share, color=AFTER, edgecolors=FAINT, zorder=3)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    label_axes(axes, "predicted probability", "share that matches")
