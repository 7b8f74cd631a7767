"""CrossEncoderClassificationEvaluator: predicted classes against the right ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import numpy as np

from mmrerank.errors import InputError, WrongArgument, shorten
from mmrerank.evaluation.evaluator import (
    BaseEvaluator,
    Scorer,
    append_csv_row,
    moment,
    one_score_a_pair,
    shows_progress,
)
from mmrerank.evaluation.examples import Example
from mmrerank.evaluation.metrics import average_precision, best_accuracy, best_f1, f1_of_classes

__all__ = ["CrossEncoderClassificationEvaluator"]

logger = logging.getLogger(__name__)

Self = TypeVar("Self", bound="CrossEncoderClassificationEvaluator")

# metric → (column of the CSV file, name in the log)
_BINARY = {
    "accuracy": "Accuracy",
    "accuracy_threshold": "Accuracy_Threshold",
    "f1": "F1",
    "f1_threshold": "F1_Threshold",
    "precision": "Precision",
    "recall": "Recall",
    "average_precision": "Average_Precision",
}
_CLASSES = {"f1_macro": "Macro_F1", "f1_micro": "Micro_F1", "f1_weighted": "Weighted_F1"}
_OPTIONS = ("name", "prompt_name", "batch_size", "show_progress_bar", "write_csv")
_IGNORED = {"threshold"}  # of the CE… names; thresholds have been searched for since


class CrossEncoderClassificationEvaluator(BaseEvaluator):
    """Compare predicted classes with the right ones.

    A model with one label is taken as binary: accuracy and F1 at their best thresholds, precision,
    recall and average precision (the primary metric). With more labels: F1 in the three averages;
    f1_macro is the primary one.

    sentence_pairs: (query, document) each, of any kind that the model takes. labels: one integer a
    pair. write_csv: add a row to a file in output_path.
    Raises InputError when pairs and labels differ in number, or there are none.
    """

    csv_headers: list[str]

    def __init__(
        self,
        sentence_pairs: Sequence[Any],
        labels: Sequence[int],
        *,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        _refuse_unknown(kwargs)
        self.sentence_pairs = sentence_pairs
        self.labels = _checked_labels(sentence_pairs, labels)
        self.name = name
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = shows_progress(show_progress_bar, logger)
        self.write_csv = write_csv
        suffix = f"_{name}" if name else ""
        self.csv_file = f"CrossEncoderClassificationEvaluator{suffix}_results.csv"

    @classmethod
    def from_input_examples(cls: type[Self], examples: Iterable[Example], **kwargs: Any) -> Self:
        """The evaluator of InputExample objects, which hold texts and a label."""
        examples = list(examples)
        pairs, labels = [list(e.texts or ()) for e in examples], [int(e.label) for e in examples]
        return cls(pairs, labels, **kwargs)

    def __call__(
        self, model: Scorer, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate. Returns the metrics by name, with the evaluator's name in front."""
        when = moment(epoch, steps)
        logger.info(
            f"CrossEncoderClassificationEvaluator: Evaluating the model on {self.name} "
            f"dataset{when}:"
        )
        scores = model.predict(
            self.sentence_pairs,
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            convert_to_numpy=True,
            show_progress_bar=self.show_progress_bar,
        )
        metrics = self._metrics_of(scores, model.num_labels)
        columns = _BINARY if model.num_labels == 1 else _CLASSES
        self.primary_metric = "average_precision" if model.num_labels == 1 else "f1_macro"
        self.csv_headers = ["epoch", "steps", *columns.values()]
        if output_path is not None and self.write_csv:
            row = [epoch, steps, *(metrics[key] for key in columns)]
            append_csv_row(output_path, self.csv_file, self.csv_headers, row)
        for line in _log_lines(metrics):
            logger.info(line)
        named = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, named, epoch, steps)
        return named

    def _metrics_of(self, scores: Any, num_labels: int) -> dict[str, float]:
        if num_labels > 1:
            return f1_of_classes(np.argmax(scores, axis=1), self.labels)
        scores = one_score_a_pair(scores, type(self).__name__)
        return binary_metrics(scores, self.labels)


def binary_metrics(scores: Any, labels: Any) -> dict[str, float]:
    """The metrics of a model with one label, in the order of the CSV file."""
    accuracy, f1 = best_accuracy(scores, labels), best_f1(scores, labels)
    return {
        "accuracy": accuracy.accuracy,
        "accuracy_threshold": accuracy.threshold,
        "f1": f1.f1,
        "f1_threshold": f1.threshold,
        "precision": f1.precision,
        "recall": f1.recall,
        "average_precision": average_precision(scores, labels),
    }


def _log_lines(metrics: Mapping[str, float]) -> list[str]:
    if "f1_macro" in metrics:
        return [
            f"{column.replace('_', ' ') + ':':<20}{metrics[key] * 100:.2f}"
            for key, column in _CLASSES.items()
        ]
    thresholds = {
        key: f"\t(Threshold: {metrics[f'{key}_threshold']:.4f})" for key in ("accuracy", "f1")
    }
    return [
        f"{column.replace('_', ' ') + ':':<19}{metrics[key] * 100:.2f}{thresholds.get(key, '')}"
        for key, column in _BINARY.items()
        if not key.endswith("_threshold")
    ]


def _checked_labels(pairs: Sequence[Any], labels: Sequence[int]) -> np.ndarray[Any, Any]:
    if len(pairs) != len(labels):
        raise InputError(
            f"sentence_pairs and labels must have the same length, got {len(pairs)} and "
            f"{len(labels)}."
        )
    if not len(pairs):
        raise InputError("sentence_pairs is empty: there is nothing to evaluate.")
    return np.asarray(labels)


def _refuse_unknown(kwargs: Mapping[str, Any]) -> None:
    for name in kwargs:
        if name in _IGNORED:
            logger.warning("%s=... has no effect: the best threshold is searched for.", name)
            continue
        near = get_close_matches(name, _OPTIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(_OPTIONS)}."
        raise WrongArgument(f"unknown option {shorten(name)}{hint}")
