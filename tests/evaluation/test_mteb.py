"""mteb runs a task on our model; no network, no folder of results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmrerank.errors import InputError
from mmrerank.evaluation.mteb_model import MTEBReranker, load_task, run_task
from mmrerank.evaluation.reranking import CrossEncoderRerankingEvaluator
from tests.evaluation._data import QUERIES, TEXTS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(mteb|datasets|multiprocess).*")

OWN = Path(__file__).parent / "_own_task.py"
RELEVANT = (0, 1, 5)


def test_task_gives_the_numbers_of_our_own_evaluator(ours_of):
    model = ours_of("bert")
    found = run_task(MTEBReranker(model, "bert"), load_task(f"{OWN}:OwnReranking"), batch_size=4)
    samples = [
        {"query": query, "positive": [TEXTS[i]], "negative": TEXTS[:i] + TEXTS[i + 1 :]}
        for query, i in zip(QUERIES, RELEVANT, strict=True)
    ]
    expected = CrossEncoderRerankingEvaluator(samples)(model)
    (entry,) = json.loads(json.dumps(found))["scores"]["test"]
    # mteb rounds to five digits.
    assert entry["main_score"] == pytest.approx(expected["ndcg@10"], abs=1e-5)
    assert entry["map_at_10"] == pytest.approx(expected["map"], abs=1e-5)


def test_task_without_documents_to_rerank_is_refused(ours_of):
    task = load_task(f"{OWN}:OwnRetrieval")
    with pytest.raises(InputError, match="of the kind Retrieval; a reranker needs"):
        run_task(MTEBReranker(ours_of("bert"), "bert"), task)


def test_texts_are_texts_and_batches_are_joined(ours_of):
    model = ours_of("bert")
    queries = [{"text": ["a.png", "tea"]}, {"text": ["b"]}]
    documents = [{"text": ["cat.jpg", "a cup"]}, {"text": ["c"]}]
    wrapped = MTEBReranker(model, "owner/bert")
    scores = wrapped.predict(queries, documents, task_metadata=None, hf_split="", hf_subset="")
    pairs = [({"text": q}, {"text": d}) for q, d in (("a.png", "cat.jpg"), ("tea", "a cup"))]
    expected = model.predict([*pairs, ("b", "c")])
    assert scores == pytest.approx(expected, abs=1e-5)
    assert wrapped.mteb_model_meta.name == "owner/bert"


def test_no_pairs_give_no_scores(ours_of):
    wrapped = MTEBReranker(ours_of("bert"), "/models/bert")
    scores = wrapped.predict([], [], task_metadata=None, hf_split="", hf_subset="")
    assert (scores.shape, scores.dtype) == ((0,), np.float32)
    assert wrapped.mteb_model_meta.name == "local/bert"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NoSuchTaskAnywhere", "mteb knows no task 'NoSuchTaskAnywhere'"),
        ("nowhere.py:Task", r"nowhere\.py: there is no such Python file"),
        (f"{OWN}:Missing", "defines no 'Missing'"),
    ],
)
def test_unknown_task_is_named(name, says):
    with pytest.raises(InputError, match=says):
        load_task(name)
