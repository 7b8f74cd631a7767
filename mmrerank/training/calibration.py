"""From logits to probabilities that hold: fitted on labelled pairs, stored as plain numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mmrerank.errors import CheckpointError, InputError, shorten
from mmrerank.extras import require
from mmrerank.specs.st_format import read_json, write_json

__all__ = [
    "CALIBRATION_FILE",
    "Calibration",
    "Method",
    "fit_calibration",
    "read_calibration",
    "write_calibration",
]

logger = logging.getLogger(__name__)

CALIBRATION_FILE = "calibration.json"
Method: TypeAlias = Literal["isotonic", "platt"]
Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Labels: TypeAlias = "Sequence[Any] | np.ndarray[Any, Any]"

_METHODS = ("isotonic", "platt")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A function of logits, to be given to `predict` as its activation.

    platt: sigmoid(slope · logit + intercept). isotonic: straight lines between the points
    (logits[i], probabilities[i]), level outside of them. ece_before and ece_after: expected
    calibration error on held-out folds, of sigmoid(logit) and of this; num_pairs: it was fitted on.
    """

    method: Method
    num_pairs: int
    ece_before: float
    ece_after: float
    slope: float = 1.0
    intercept: float = 0.0
    logits: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.slope, self.intercept, *self.logits, *self.probabilities)
        has_points = bool(self.logits) and len(self.logits) == len(self.probabilities)
        if self.method not in _METHODS or not np.isfinite(numbers).all():
            raise CheckpointError(f"calibration: method {shorten(self.method)} or a number is bad")
        if self.method == "isotonic" and not (has_points and (np.diff(self.logits) >= 0).all()):
            raise CheckpointError("calibration: isotonic needs as many rising logits as values")

    def __call__(self, logits: Tensor) -> Tensor:
        """logits: any shape. Returns probabilities of the same shape, float32."""
        values = logits.double()
        if self.method == "platt":
            return torch.sigmoid(self.slope * values + self.intercept).float()
        xs = values.new_tensor(self.logits)
        ys = values.new_tensor(self.probabilities)
        if len(xs) == 1:
            return ys.expand_as(values).float()
        right = torch.searchsorted(xs, values.contiguous()).clamp(1, len(xs) - 1)
        width = (xs[right] - xs[right - 1]).clamp_min(torch.finfo(values.dtype).tiny)
        share = ((values - xs[right - 1]) / width).clamp(0, 1)
        return torch.lerp(ys[right - 1], ys[right], share).float()


def fit_calibration(
    logits: Sequence[float] | Floats,
    labels: Labels,
    method: Method = "isotonic",
    *,
    num_folds: int = 5,
) -> Calibration:
    """Fit on labelled pairs; the errors it names are those of pairs that it was not fitted on.

    logits: (num_pairs,). labels: 0 or 1 each. Raises InputError for other labels, fewer than
    `num_folds` pairs of a label, or logits that are no numbers; MissingExtra without scikit-learn.
    """
    # Here, since calibrated models are loaded without metrics.
    from mmrerank.evaluation.measure import calibration_error

    if method not in _METHODS:
        raise InputError(f"method={shorten(method)}: allowed are {', '.join(_METHODS)}")
    if num_folds < 2:
        raise InputError(f"num_folds={num_folds}: held-out pairs need 2 folds or more")
    xs, ys = _checked(logits, labels, num_folds)
    held_out = np.empty_like(xs)
    for train, test in _folds(xs, ys, num_folds):
        fitted = _fit(xs[train], ys[train], method)
        held_out[test] = fitted(torch.from_numpy(xs[test])).numpy()
    whole = _fit(xs, ys, method)
    if method == "platt" and whole.slope <= 0:
        logger.warning(
            "these labels fall where logits rise (slope %.3g): calibrated scores turn the order "
            "around. Are 0 and 1 swapped?",
            whole.slope,
        )
    sigmoid = torch.sigmoid(torch.from_numpy(xs)).numpy()
    return Calibration(
        method,
        num_pairs=len(xs),
        ece_before=calibration_error(sigmoid, ys),
        ece_after=calibration_error(held_out, ys),
        slope=whole.slope,
        intercept=whole.intercept,
        logits=whole.logits,
        probabilities=whole.probabilities,
    )


def write_calibration(folder: Path, calibration: Calibration | None) -> None:
    """Write the numbers beside a checkpoint's other files; None takes an older file away."""
    path = folder / CALIBRATION_FILE
    if calibration is None:
        path.unlink(missing_ok=True)
        return
    write_json(path, asdict(calibration))


def read_calibration(folder: Path) -> Calibration | None:
    """What `write_calibration` wrote, None without a file. Raises CheckpointError for a bad one."""
    data = read_json(folder / CALIBRATION_FILE)
    if data is None:
        return None
    try:
        logits, probabilities = (
            tuple(map(float, data.pop(key, ()))) for key in ("logits", "probabilities")
        )
        return Calibration(**data, logits=logits, probabilities=probabilities)
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{CALIBRATION_FILE} of the checkpoint is wrong: {error}") from error


# ------------------------------------------------------------ fitting


def _checked(logits: Any, labels: Any, num_folds: int) -> tuple[Floats, Floats]:
    xs = np.asarray(logits, dtype=np.float64)
    if xs.ndim != 1 or len(xs) != len(labels):
        raise InputError(
            f"{len(labels)} labels for logits of shape {xs.shape}: one of each a pair is needed"
        )
    if not np.isfinite(xs).all():
        raise InputError(f"logits[{int(np.argmin(np.isfinite(xs)))}] is no finite number")
    for index, label in enumerate(labels):
        if label not in (0, 1):
            raise InputError(
                f"labels[{index}]={shorten(label)}: calibration needs 0 (not relevant) or 1 "
                "(relevant). Of graded labels choose the grade from which on a pair is relevant."
            )
    ys = np.asarray(labels, dtype=np.float64)
    num_relevant = int(ys.sum())
    for label, count in ((1, num_relevant), (0, len(ys) - num_relevant)):
        if count < num_folds:
            raise InputError(
                f"{count} of {len(ys)} pairs are labelled {label}: calibration needs "
                f"{num_folds} or more of each label, a few hundred for a result to trust"
            )
    return xs, ys


def _folds(xs: Floats, ys: Floats, num_folds: int) -> Any:
    selection = require("sklearn.model_selection", to="calibrate")
    folds = selection.StratifiedKFold(num_folds, shuffle=True, random_state=0)
    return folds.split(xs, ys)


def _fit(xs: Floats, ys: Floats, method: Method) -> Calibration:
    numbers = _platt(xs, ys) if method == "platt" else _isotonic(xs, ys)
    return Calibration(method, num_pairs=len(xs), ece_before=0.0, ece_after=0.0, **numbers)


def _platt(xs: Floats, ys: Floats) -> Mapping[str, Any]:
    """Logistic regression on softened labels, so that separable pairs give no endless slope.

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section 2.2.
    """
    num_relevant = ys.sum()
    target = np.where(
        ys == 1, (num_relevant + 1) / (num_relevant + 2), 1 / (len(ys) - num_relevant + 2)
    )
    # A soft label is the same pair twice, as relevant and as not, with these weights.
    pairs = np.concatenate([xs, xs])[:, None]
    both = np.repeat([1.0, 0.0], len(xs))
    weights = np.concatenate([target, 1 - target])
    model = require("sklearn.linear_model", to="calibrate").LogisticRegression(
        C=np.inf, max_iter=1_000
    )
    model.fit(pairs, both, sample_weight=weights)
    return {"slope": float(model.coef_[0, 0]), "intercept": float(model.intercept_[0])}


def _isotonic(xs: Floats, ys: Floats) -> Mapping[str, Any]:
    model = require("sklearn.isotonic", to="calibrate").IsotonicRegression(
        y_min=0, y_max=1, out_of_bounds="clip"
    )
    model.fit(xs, ys)
    return {
        "logits": tuple(model.X_thresholds_.tolist()),
        "probabilities": tuple(model.y_thresholds_.tolist()),
    }
