"""CrossEncoderNanoBEIREvaluator: thirteen small retrieval datasets, one number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from mmrerank.errors import InputError, shorten
from mmrerank.evaluation.evaluator import BaseEvaluator, Scorer, append_csv_row, moment
from mmrerank.evaluation.nano_datasets import NAMES, Source, read_samples, shown_source
from mmrerank.evaluation.reranking import (
    CrossEncoderRerankingEvaluator,
    log_metrics,
    with_gain,
)

__all__ = ["CrossEncoderNanoBEIREvaluator"]

logger = logging.getLogger(__name__)

# Finding an opposing argument is another task than finding an answer.
_LEFT_OUT = ("arguana", "touche2020")


class CrossEncoderNanoBEIREvaluator(BaseEvaluator):
    """MAP, MRR@k and nDCG@k on NanoBEIR, for each dataset and over all of them.

    dataset_names: short names such as "msmarco" or "nq"; None is all but arguana and touche2020.
    dataset_id: a hub id, a folder laid out like one (corpus/NanoMSMARCO.jsonl, and so on for
        queries, qrels and bm25; also .parquet), or the tables as dicts of rows,
        dataset_id["corpus"]["NanoMSMARCO"].
    rerank_k: how many documents of the BM25 ranking are reranked. aggregate_fn, aggregate_key: how
        the numbers of the datasets become one, and what that is called in the keys.
    The primary metric is NanoBEIR_R<rerank_k>_<aggregate_key>_ndcg@<at_k>.
    Raises InputError for an unknown dataset, or one that cannot be loaded.
    """

    def __init__(
        self,
        dataset_names: Sequence[str] | None = None,
        dataset_id: Source = "sentence-transformers/NanoBEIR-en",
        rerank_k: int = 100,
        at_k: int = 10,
        always_rerank_positives: bool = True,
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        aggregate_fn: Callable[[list[float]], Any] = np.mean,
        aggregate_key: str = "mean",
    ) -> None:
        super().__init__()
        self.dataset_names = _checked_names(dataset_names)
        self.dataset_id = dataset_id
        self.rerank_k = rerank_k
        self.at_k = at_k
        self.always_rerank_positives = always_rerank_positives
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.aggregate_fn = aggregate_fn
        self.aggregate_key = aggregate_key
        self.name = f"NanoBEIR_R{rerank_k:d}_{aggregate_key}"
        loading = tqdm(self.dataset_names, desc="Loading NanoBEIR datasets", leave=False)
        self.evaluators = [self._evaluator_of(name) for name in loading]
        self.csv_file = f"NanoBEIR_evaluation_{aggregate_key}_results.csv"
        self.csv_headers = ["epoch", "steps", "MAP", f"MRR@{at_k}", f"NDCG@{at_k}"]
        self.primary_metric = f"ndcg@{at_k}"

    def __call__(
        self,
        model: Scorer,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Evaluate. Returns the metrics of each dataset and the aggregated ones, with base_…"""
        logger.info(
            f"NanoBEIR Evaluation of the model on {self.dataset_names} dataset"
            f"{moment(epoch, steps)}:"
        )
        results: dict[str, float] = {}
        by_metric: dict[str, list[float]] = {}
        for evaluator in tqdm(
            self.evaluators, desc="Evaluating datasets", disable=not self.show_progress_bar
        ):
            logger.info(f"Evaluating {evaluator.name}")
            found = evaluator(model, output_path, epoch, steps)
            results.update(found)
            for key, value in found.items():
                by_metric.setdefault(key.removeprefix(f"{evaluator.name}_"), []).append(value)
        means = {metric: self.aggregate_fn(values) for metric, values in by_metric.items()}
        metrics = {key: value for key, value in means.items() if not key.startswith("base_")}
        if output_path is not None and self.write_csv:
            row = [epoch, steps, *metrics.values()]
            append_csv_row(output_path, self.csv_file, self.csv_headers, row, line_end="\n")
        self._report(model, metrics, means, epoch, steps)
        return {**results, **self.prefix_name_to_metrics(means, self.name)}

    def get_config_dict(self) -> dict[str, Any]:
        """Settings that a model card shows."""
        return {
            "dataset_names": self.dataset_names,
            "dataset_id": shown_source(self.dataset_id),
            "rerank_k": self.rerank_k,
            "at_k": self.at_k,
            "always_rerank_positives": self.always_rerank_positives,
        }

    def _report(
        self,
        model: Scorer,
        metrics: Mapping[str, float],
        means: Mapping[str, float],
        epoch: int,
        steps: int,
    ) -> None:
        """Log the aggregated metrics and hand them to the model's card."""
        base = {key: means[f"base_{key}"] for key in metrics}
        logger.info("CrossEncoderNanoBEIREvaluator: Aggregated Results:")
        log_metrics(logger, metrics, base, self.at_k)
        shown = {key: with_gain(value, base[key]) for key, value in metrics.items()}
        carded = self.prefix_name_to_metrics(shown, self.name)
        self.store_metrics_in_model_card_data(model, carded, epoch, steps)

    def _evaluator_of(self, name: str) -> CrossEncoderRerankingEvaluator:
        return CrossEncoderRerankingEvaluator(
            read_samples(self.dataset_id, name, self.rerank_k),
            at_k=self.at_k,
            always_rerank_positives=self.always_rerank_positives,
            name=f"Nano{NAMES[name.lower()]}_R{self.rerank_k}",
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            write_csv=self.write_csv,
        )


def _checked_names(names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [name for name in NAMES if name not in _LEFT_OUT]
    if not names:
        raise InputError("dataset_names cannot be empty. Use None to evaluate on all datasets.")
    if unknown := [name for name in names if name.lower() not in NAMES]:
        raise InputError(
            f"Dataset(s) {shorten(unknown)} are not valid NanoBEIR datasets. Valid dataset names "
            f"are: {', '.join(NAMES)}"
        )
    return list(names)
