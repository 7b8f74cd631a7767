"""What every evaluator is, and what it needs of a model."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmrerank.errors import InputError

__all__ = [
    "BaseEvaluator",
    "Scorer",
    "SentenceEvaluator",
    "append_csv_row",
    "moment",
    "one_score_a_pair",
    "shows_progress",
]


class Scorer(Protocol):
    """What an evaluator uses of a CrossEncoder."""

    model_card_data: Any

    @property
    def num_labels(self) -> int:
        """Scores a pair gets."""

    def predict(self, inputs: Any, **options: Any) -> Any:
        """Scores of pairs, (num_pairs,) or (num_pairs, num_labels)."""


class BaseEvaluator:
    """Base of all evaluators, also of your own: implement `__call__`.

    primary_metric: the key of the returned dict that a model is chosen by.
    greater_is_better: whether more of it is better.
    """

    primary_metric: str | None = None
    greater_is_better: bool = True

    def __init__(self) -> None:
        self.greater_is_better = True
        self.primary_metric = None

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> float | dict[str, float]:
        """Evaluate a model. Returns one number, or a dict of numbers by name.

        output_path: folder for files of results. epoch, steps: where training stands; epoch=-1
        means that it is not running, steps=-1 that the epoch is over.
        """
        raise NotImplementedError

    def prefix_name_to_metrics(self, metrics: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The metrics as plain floats, with "name_" before each key, and before primary_metric."""
        prefix = f"{name}_" if name else ""
        if self.primary_metric is not None and not self.primary_metric.startswith(prefix):
            self.primary_metric = prefix + self.primary_metric
        return {prefix + key: _plain(value) for key, value in metrics.items()}

    def store_metrics_in_model_card_data(
        self, model: Any, metrics: dict[str, Any], epoch: int = 0, step: int = 0
    ) -> None:
        """Hand the metrics to the model's card, where it has one."""
        if model.model_card_data is not None:
            model.model_card_data.set_evaluation_metrics(self, metrics, epoch, step)

    @property
    def description(self) -> str:
        """The name of the class in words: CEMyTestEvaluator is "Cross Encoder My Test"."""
        name = re.sub("^CE", "CrossEncoder", type(self).__name__).partition("Evaluator")[0]
        return re.sub(r"([a-z])([A-Z])", r"\1 \2", name)

    def get_config_dict(self) -> dict[str, Any]:
        """Settings that a model card shows."""
        return {}


SentenceEvaluator = BaseEvaluator  # the older name


def _plain(value: Any) -> Any:
    """A float; a text such as "0.5000 (+0.1000)" stays as it is."""
    try:
        return float(value)
    except ValueError:
        return value


def moment(epoch: int, steps: int) -> str:
    """Where training stands, in words, for a log line."""
    if epoch == -1:
        return ""
    return f" after epoch {epoch}" if steps == -1 else f" in epoch {epoch} after {steps} steps"


def shows_progress(wanted: bool | None, logger: logging.Logger) -> bool:
    """The caller's choice; without one, a bar is shown where INFO or DEBUG is logged."""
    if wanted is not None:
        return wanted
    return logger.getEffectiveLevel() in (logging.INFO, logging.DEBUG)


def one_score_a_pair(scores: Any, what: str) -> np.ndarray[Any, Any]:
    """Scores (num_pairs,) for a metric that compares them. Raises InputError for anything else."""
    array = np.asarray(scores)
    if array.ndim != 1:
        raise InputError(
            f"{what} compares one score a pair, the model gave {array.shape[-1]} labels each. "
            "Load it with num_labels=1, or use CrossEncoderClassificationEvaluator."
        )
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise InputError(
            f"{what}: the score of pair {bad[0]} is {array[bad[0]]}, and {bad.size - 1} more are "
            "not finite. Load the model in float32, or look at that pair."
        )
    return array


def append_csv_row(
    folder: str | Path,
    file_name: str,
    headers: Sequence[str],
    row: Sequence[Any],
    *,
    line_end: str = "\r\n",
) -> None:
    """Add one row to a CSV file, with the headers first where the file is new."""
    path = Path(folder) / file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=line_end)
        if is_new:
            writer.writerow(headers)
        writer.writerow(row)
