"""A reranking task of mteb that needs no download: three queries, their documents in memory."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from tests.evaluation._data import QUERIES, TEXTS

_ABOUT: dict[str, Any] = {
    "description": "Three queries.",
    "reference": "https://example.org",
    "dataset": {"path": "NA", "revision": "NA"},
    "category": "t2t",
    "eval_splits": ["test"],
    "eval_langs": ["eng-Latn"],
    "date": ("2022-12-22", "2022-12-22"),
    "dialect": ["Written"],
    "domains": [],
    "task_subtypes": [],
    "license": "cc-by-4.0",
    "annotations_creators": "derived",
    "modalities": ["text"],
    "sample_creation": "found",
    "bibtex_citation": "",
}


class OwnReranking(AbsTaskRetrieval):
    """Every query has all documents to rerank, and one that is relevant."""

    metadata = TaskMetadata(
        type="Reranking", name="OwnReranking", main_score="ndcg_at_10", **_ABOUT
    )

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Put the tables where mteb looks for them."""
        documents = [f"d{i}" for i in range(len(TEXTS))]
        queries = [f"q{i}" for i in range(len(QUERIES))]
        relevant = dict(zip(queries, ("d0", "d1", "d5"), strict=True))
        self.dataset = {
            "default": {
                "test": {
                    "queries": Dataset.from_dict({"id": queries, "text": QUERIES}),
                    "corpus": Dataset.from_dict(
                        {"id": documents, "text": TEXTS, "title": [""] * len(TEXTS)}
                    ),
                    "relevant_docs": {query: {one: 1} for query, one in relevant.items()},
                    "top_ranked": dict.fromkeys(queries, documents),
                }
            }
        }
        self.data_loaded = True


class OwnRetrieval(OwnReranking):
    """The same data as a task that names no documents to rerank."""

    metadata = TaskMetadata(
        type="Retrieval", name="OwnRetrieval", main_score="ndcg_at_10", **_ABOUT
    )
