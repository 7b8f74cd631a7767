"""Scores sorted into a Ranking: order, ties, errors, details and usage."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np

from mmrerank.errors import MediaNotFound
from mmrerank.results import Detail, Ranking, details_of, rank_scores, usage_of
from mmrerank.types import DocumentError, Score, Usage


def _score(index: int, value: float, *, tokens: int = 10, truncated: int = 0) -> Score:
    number = np.float32(value)
    return Score(index, np.array([value], np.float32), np.asarray(number), tokens, truncated)


RESULTS: list[Score | DocumentError] = [
    _score(0, 0.25),
    DocumentError(1, MediaNotFound("documents[1].image: 'zz.jpg': no such file")),
    _score(2, 0.75, tokens=20, truncated=5),
    _score(3, 0.25),
]


def test_best_comes_first_ties_keep_their_order_and_errors_stand_last() -> None:
    ranking = rank_scores(RESULTS, documents=None, top_k=None)
    assert [entry["corpus_id"] for entry in ranking] == [2, 0, 3, 1]
    assert [entry["score"] for entry in ranking[:3]] == [0.75, 0.25, 0.25]
    assert math.isnan(ranking[3]["score"])
    assert ranking[3]["error"] == "MediaNotFound: documents[1].image: 'zz.jpg': no such file"


def test_entries_hold_the_peers_keys_and_types_only() -> None:
    ranking = rank_scores(RESULTS[:1], documents=None, top_k=None)
    assert ranking == [{"corpus_id": 0, "score": 0.25}]
    assert type(ranking[0]["score"]) is float


def test_documents_are_added_as_given() -> None:
    documents = ["a", {"image": "zz.jpg"}, "c", "d"]
    ranking = rank_scores(RESULTS, documents=documents, top_k=None)
    assert [entry["text"] for entry in ranking] == ["c", "a", "d", {"image": "zz.jpg"}]


def test_score_that_is_not_a_number_stands_last_too() -> None:
    ranking = rank_scores([_score(0, math.nan), _score(1, -5.0)], documents=None, top_k=None)
    assert [entry["corpus_id"] for entry in ranking] == [1, 0]


def test_top_k_cuts_entries_and_details_but_not_usage() -> None:
    ranking = rank_scores(RESULTS, documents=None, top_k=1)
    assert [entry["corpus_id"] for entry in ranking] == [2]
    assert ranking.details == [Detail(2, num_tokens=20, num_truncated=5)]
    assert ranking.usage == Usage(num_pairs=3, num_tokens=40, num_truncated=1, num_errors=1)


def test_details_keep_the_order_of_the_results() -> None:
    details = details_of(RESULTS)
    assert [detail.index for detail in details] == [0, 1, 2, 3]
    assert [detail.truncated for detail in details] == [False, False, True, False]
    assert details[1].error is not None


def test_usage_of_nothing_is_zero() -> None:
    assert usage_of([]) == Usage(0, 0, 0, 0)


def test_ranking_equals_a_plain_list_both_ways() -> None:
    ranking = rank_scores(RESULTS[:1], documents=None, top_k=None)
    plain = [{"corpus_id": 0, "score": 0.25}]
    assert ranking == plain
    assert plain == ranking
    assert ranking != []


def test_ranking_survives_copy_and_pickle() -> None:
    ranking = rank_scores(RESULTS[:1], documents=None, top_k=None)
    for other in (copy.deepcopy(ranking), pickle.loads(pickle.dumps(ranking))):
        assert type(other) is Ranking
        assert other == ranking
        assert other.usage == ranking.usage
        assert other.details == ranking.details


def test_html_shows_rank_document_and_score_and_escapes() -> None:
    html = rank_scores(RESULTS, documents=["<b>", "x", "a & b", "d"], top_k=None).to_html()
    assert "<td>1</td><td>2</td><td>0.750</td><td>a &amp; b</td>" in html
    assert "<td>2</td><td>0</td><td>0.250</td><td>&lt;b&gt;</td>" in html
    assert "no such file" in html
