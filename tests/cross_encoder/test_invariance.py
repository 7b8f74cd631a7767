"""A score depends on its pair alone: not on order, batch size, budget or what else is in the call.

The most reported defect of multimodal rerank servers is that it does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmrerank import CrossEncoder
from mmrerank.engine import TokenBudget
from mmrerank.inputs import parse_document
from mmrerank.pipeline import CallOptions, Window
from mmrerank.types import Document, Pair
from tests.cross_encoder._samples import (
    DOCUMENTS,
    QUERY,
    UNCLOSED_TEMPLATES,
    assert_same_scores,
    clip,
    picture,
)
from tests.cross_encoder.conftest import ModelOf

pytestmark = UNCLOSED_TEMPLATES

RED, BLUE, WIDE = picture(64, 96, "red"), picture(96, 64, "blue"), picture(200, 40, "blue")
MIXED: list[Any] = [
    RED,
    "a blue square, or is it the picture of a cat?",
    {"text": "red", "image": RED},
    {"image": [BLUE, RED], "text": "two squares"},
    WIDE,
    clip(4),
    "",
    {"video": clip(4), "text": "a film"},
]
CALLS: dict[str, tuple[Any, list[Any]]] = {
    "bert": (QUERY, list(DOCUMENTS)),
    "modernbert-mean": (QUERY, list(DOCUMENTS)),
    "roberta": (QUERY, list(DOCUMENTS)),
    "chain": (QUERY, list(DOCUMENTS)),
    "qwen3": (QUERY, list(DOCUMENTS)),
    "qwen3-seq-cls": (QUERY, list(DOCUMENTS)),
    "qwen3-vl": (BLUE, MIXED),
}


def _by_document(ranking: list[dict[str, Any]]) -> list[float]:
    return [entry["score"] for entry in sorted(ranking, key=lambda entry: entry["corpus_id"])]


def _alone(model: CrossEncoder, query: Any, documents: list[Any]) -> list[float]:
    return [model.rank(query, [document])[0]["score"] for document in documents]


@pytest.mark.parametrize("name", CALLS)
def test_rank_of_many_equals_rank_of_each(name: str, ours_of: ModelOf) -> None:
    query, documents = CALLS[name]
    together = _by_document(ours_of(name).rank(query, documents))
    assert np.std(together) > 0.05
    assert_same_scores(together, _alone(ours_of(name), query, documents))


@pytest.mark.parametrize("name", CALLS)
def test_order_of_documents_changes_no_score(name: str, ours_of: ModelOf) -> None:
    query, documents = CALLS[name]
    order = np.random.default_rng(0).permutation(len(documents))
    shuffled = _by_document(ours_of(name).rank(query, [documents[i] for i in order]))
    expected = _by_document(ours_of(name).rank(query, documents))
    assert_same_scores(shuffled, [expected[i] for i in order])


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_changes_no_score(name: str, batch_size: int, ours_of: ModelOf) -> None:
    query, documents = CALLS[name]
    small = _by_document(ours_of(name).rank(query, documents, batch_size=batch_size))
    assert_same_scores(small, _by_document(ours_of(name).rank(query, documents)))


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl"])
@pytest.mark.parametrize(
    "options",
    [
        CallOptions(budget=TokenBudget(max_tokens=150)),
        CallOptions(budget=TokenBudget(max_tokens=1)),
        CallOptions(window=Window(max_pairs=2)),
        CallOptions(window=Window(max_bytes=1)),
    ],
    ids=["small budget", "budget of one token", "windows of two pairs", "windows of one byte"],
)
def test_budget_and_window_change_no_score(
    name: str, options: CallOptions, ours_of: ModelOf
) -> None:
    query, documents = CALLS[name]
    pipeline = ours_of(name).pipeline
    pairs = [
        Pair(index, _document(query), _document(document))
        for index, document in enumerate(documents)
    ]
    expected = [score.value for score in pipeline.score(pairs)]
    results = pipeline.score(pairs, replace(options))
    assert [score.index for score in results] == list(range(len(documents)))
    assert_same_scores([score.value for score in results], expected)


def test_other_queries_in_the_call_change_no_score(ours_of: ModelOf) -> None:
    model = ours_of("qwen3-vl")
    pairs = [(query, document) for query in (RED, "bread", BLUE) for document in (WIDE, "red", RED)]
    assert_same_scores(model.predict(pairs), [model.predict(pair) for pair in pairs])


def test_the_same_picture_as_two_objects_scores_the_same(ours_of: ModelOf) -> None:
    scores = ours_of("qwen3-vl").predict(
        [("red", RED), ("red", RED.copy()), ("red", np.array(RED))]
    )
    assert_same_scores(scores, [scores[0]] * 3, tolerance=1e-6)


def _document(value: Any) -> Document:
    return parse_document(value)
