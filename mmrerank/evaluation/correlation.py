"""CrossEncoderCorrelationEvaluator: predicted scores against wanted ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from mmrerank.errors import InputError
from mmrerank.evaluation.evaluator import (
    BaseEvaluator,
    Scorer,
    append_csv_row,
    moment,
    one_score_a_pair,
    shows_progress,
)
from mmrerank.evaluation.examples import Example
from mmrerank.evaluation.metrics import correlations

__all__ = ["CrossEncoderCorrelationEvaluator"]

logger = logging.getLogger(__name__)

Self = TypeVar("Self", bound="CrossEncoderCorrelationEvaluator")


class CrossEncoderCorrelationEvaluator(BaseEvaluator):
    """Pearson's and Spearman's correlation of predicted and wanted scores; Spearman's is primary.

    sentence_pairs: (query, document) each, of any kind that the model takes. scores: one number a
    pair. write_csv: add a row to a file in output_path.
    Raises InputError when pairs and scores differ in number, or there are fewer than two.
    """

    def __init__(
        self,
        sentence_pairs: Sequence[Any],
        scores: Sequence[float],
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
    ) -> None:
        super().__init__()
        if len(sentence_pairs) != len(scores) or len(scores) < 2:
            raise InputError(
                "sentence_pairs and scores must have the same length, at least 2; got "
                f"{len(sentence_pairs)} and {len(scores)}."
            )
        self.sentence_pairs = sentence_pairs
        self.scores = scores
        self.name = name
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = shows_progress(show_progress_bar, logger)
        self.write_csv = write_csv
        suffix = f"_{name}" if name else ""
        self.csv_file = f"CrossEncoderCorrelationEvaluator{suffix}_results.csv"
        self.csv_headers = ["epoch", "steps", "Pearson_Correlation", "Spearman_Correlation"]
        self.primary_metric = "spearman"

    @classmethod
    def from_input_examples(cls: type[Self], examples: Iterable[Example], **kwargs: Any) -> Self:
        """The evaluator of InputExample objects, which hold texts and a label."""
        examples = list(examples)
        pairs, scores = [list(e.texts or ()) for e in examples], [e.label for e in examples]
        return cls(pairs, scores, **kwargs)

    def __call__(
        self, model: Scorer, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate. Returns pearson and spearman, with the evaluator's name in front.

        Both are NaN where the model scores all pairs alike. Raises InputError for a model of
        several labels.
        """
        logger.info(
            f"CrossEncoderCorrelationEvaluator: Evaluating the model on {self.name} "
            f"dataset{moment(epoch, steps)}:"
        )
        predicted = model.predict(
            self.sentence_pairs,
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            convert_to_numpy=True,
            show_progress_bar=self.show_progress_bar,
        )
        predicted = one_score_a_pair(predicted, type(self).__name__)
        pearson, spearman = correlations(self.scores, predicted)
        if np.isnan(pearson):
            logger.warning("correlation is undefined: all predicted or all wanted scores are equal")
        logger.info(f"Correlation:\tPearson: {pearson:.4f}\tSpearman: {spearman:.4f}")
        if output_path is not None and self.write_csv:
            row = [epoch, steps, pearson, spearman]
            append_csv_row(output_path, self.csv_file, self.csv_headers, row)
        metrics = {"pearson": pearson, "spearman": spearman}
        named = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, named, epoch, steps)
        return named
