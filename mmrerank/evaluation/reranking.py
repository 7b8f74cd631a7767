"""CrossEncoderRerankingEvaluator: how high a model ranks the relevant documents of queries."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrerank.errors import InputError, shorten
from mmrerank.evaluation.documents import document_key, listed
from mmrerank.evaluation.evaluator import (
    BaseEvaluator,
    Scorer,
    append_csv_row,
    moment,
    one_score_a_pair,
)
from mmrerank.evaluation.metrics import RankingScores, ranking_scores

__all__ = ["CrossEncoderRerankingEvaluator", "log_metrics"]

logger = logging.getLogger(__name__)

_ZERO = RankingScores(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Query:
    """One sample, prepared: the documents to score, and how they stood before (None = unranked)."""

    query: Any
    documents: list[Any]
    is_relevant: list[int]
    num_positives: int
    base: RankingScores | None

    @property
    def has_relevant(self) -> bool:
        return any(self.is_relevant)


class CrossEncoderRerankingEvaluator(BaseEvaluator):
    """MAP, MRR@k and nDCG@k (the primary metric) of documents that the model ranks for queries.

    samples: dicts with "query", "positive" (relevant documents) and either "negative" (others) or
        "documents" (all, in the order of an earlier stage, whose metrics are reported too, as
        base_…). Queries and documents may be of any kind that the model takes.
    always_rerank_positives: with "documents", score the positives too that are not among them. Then
        1.0 can be reached; without, the earlier stage bounds the result.
    mrr_at_k: the older name of at_k.
    Raises InputError for a sample that lacks a key.
    """

    def __init__(
        self,
        samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
        at_k: int = 10,
        always_rerank_positives: bool = True,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        mrr_at_k: int | None = None,
    ) -> None:
        super().__init__()
        if mrr_at_k is not None:
            logger.warning("mrr_at_k is deprecated; use at_k=%s instead.", mrr_at_k)
            at_k = mrr_at_k
        self.samples = list(samples.values() if isinstance(samples, Mapping) else samples)
        self.at_k = at_k
        self.always_rerank_positives = always_rerank_positives
        self.name = name
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        suffix = f"_{name}" if name else ""
        self.csv_file = f"CrossEncoderRerankingEvaluator{suffix}_results_@{at_k}.csv"
        self.csv_headers = ["epoch", "steps", "MAP", f"MRR@{at_k}", f"NDCG@{at_k}"]
        self.primary_metric = f"ndcg@{at_k}"

    def __call__(
        self, model: Scorer, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate. Returns map, mrr@k and ndcg@k, and base_… of each, the name in front.

        A query without a relevant document among those scored counts 0.
        """
        logger.info(
            f"CrossEncoderRerankingEvaluator: Evaluating the model on the {self.name} "
            f"dataset{moment(epoch, steps)}:"
        )
        if not self.samples:
            raise InputError("samples is empty: there is nothing to evaluate.")
        queries = [self._prepare(sample, index) for index, sample in enumerate(self.samples)]
        found = iter(self._score(model, [query for query in queries if query.has_relevant]))
        metrics = self._mean([next(found) if query.has_relevant else _ZERO for query in queries])
        base = self._mean([q.base for q in queries if q.base is not None])
        _log_counts(queries)
        log_metrics(logger, metrics, base, self.at_k)
        if output_path is not None and self.write_csv:
            row = [epoch, steps, *metrics.values()]
            append_csv_row(output_path, self.csv_file, self.csv_headers, row)
        shown = {key: with_gain(metrics[key], base[key]) for key in metrics} if base else metrics
        carded = self.prefix_name_to_metrics(shown, self.name)
        self.store_metrics_in_model_card_data(model, carded, epoch, steps)
        everything = {**metrics, **{f"base_{key}": value for key, value in base.items()}}
        return self.prefix_name_to_metrics(everything, self.name)

    def compute_metrics(
        self, y_true: Sequence[int], y_pred: Sequence[float]
    ) -> tuple[float, float, float]:
        """(mrr, ndcg, average precision) of one query."""
        found = ranking_scores(y_true, y_pred, self.at_k)
        return found.mrr, found.ndcg, found.ap

    def get_config_dict(self) -> dict[str, Any]:
        """Settings that a model card shows."""
        config: dict[str, Any] = {"at_k": self.at_k}
        if self.samples and "documents" in self.samples[0]:
            config["always_rerank_positives"] = self.always_rerank_positives
        return config

    # ------------------------------------------------------------ steps

    def _prepare(self, sample: Mapping[str, Any], index: int) -> _Query:
        _check_keys(sample, index)
        query, positives = sample["query"], listed(sample["positive"])
        if sample.get("documents") is None:
            negatives = listed(sample["negative"])
            is_relevant = [1] * len(positives) + [0] * len(negatives)
            return _Query(query, positives + negatives, is_relevant, len(positives), None)
        documents = listed(sample["documents"])
        keys = {document_key(positive) for positive in positives}
        is_relevant = [int(document_key(document) in keys) for document in documents]
        base = self._base(is_relevant, len(positives))
        if self.always_rerank_positives:
            others = [d for d, hit in zip(documents, is_relevant, strict=True) if not hit]
            documents = positives + others
            is_relevant = [1] * len(positives) + [0] * len(others)
        return _Query(query, documents, is_relevant, len(positives), base)

    def _base(self, is_relevant: list[int], num_positives: int) -> RankingScores:
        """Metrics of the earlier stage; positives that it did not find stand behind all others."""
        if not any(is_relevant):
            return _ZERO
        ranked = is_relevant + [1] * (num_positives - sum(is_relevant))
        return ranking_scores(ranked, np.arange(len(ranked), 0, -1), self.at_k)

    def _score(self, model: Scorer, queries: Sequence[_Query]) -> list[RankingScores]:
        """Metrics of each query, from one call of predict for the pairs of all."""
        if not queries:
            return []
        scores = model.predict(
            [(query.query, document) for query in queries for document in query.documents],
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            convert_to_numpy=True,
            show_progress_bar=self.show_progress_bar,
        )
        ends = np.cumsum([len(query.documents) for query in queries])
        parts = np.split(one_score_a_pair(scores, type(self).__name__), ends[:-1])
        return [
            ranking_scores(query.is_relevant, part, self.at_k)
            for query, part in zip(queries, parts, strict=True)
        ]

    def _mean(self, found: Sequence[RankingScores]) -> dict[str, Any]:
        """map, mrr@k and ndcg@k over queries; empty where there are none."""
        if not found:
            return {}
        return {
            "map": np.mean([one.ap for one in found]),
            f"mrr@{self.at_k}": np.mean([one.mrr for one in found]),
            f"ndcg@{self.at_k}": np.mean([one.ndcg for one in found]),
        }


def with_gain(after: float, before: float) -> str:
    """A metric as model cards show it: its value, and what reranking has added."""
    return f"{after:.4f} ({after - before:+.4f})"


def log_metrics(
    logger: logging.Logger, metrics: Mapping[str, float], base: Mapping[str, float], at_k: int
) -> None:
    """One line a metric, in percent, with the earlier stage's in front where there was one."""
    width = len(f"NDCG@{at_k}: ")
    if base:
        logger.info(f"{' ' * width}Base  -> Reranked")
    for key, value in metrics.items():
        before = f"{base[key] * 100:.2f} -> " if base else ""
        logger.info(f"{key.upper() + ':':<{width}}{before}{value * 100:.2f}")


def _check_keys(sample: Mapping[str, Any], index: int) -> None:
    where = f"samples[{index}]"
    for key in ("query", "positive"):
        if key not in sample:
            raise InputError(
                f"CrossEncoderRerankingEvaluator: {where} needs the key {key!r}; it has "
                f"{shorten(list(sample))}."
            )
    if (sample.get("negative") is None) == (sample.get("documents") is None):
        raise InputError(
            f"CrossEncoderRerankingEvaluator: {where} needs exactly one of 'negative' and "
            f"'documents'; it has {shorten(list(sample))}."
        )


def _log_counts(queries: Sequence[_Query]) -> None:
    positives = [query.num_positives for query in queries]
    negatives = [len(query.is_relevant) - sum(query.is_relevant) for query in queries]
    spread = [
        f"{name}: Min {np.min(counts):.1f}, Mean {np.mean(counts):.1f}, Max {np.max(counts):.1f}"
        for name, counts in (("Positives", positives), ("Negatives", negatives))
    ]
    logger.info("\t".join([f"Queries: {len(queries)}", *spread]))
