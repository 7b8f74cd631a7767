"""rank: entries, order, ties, documents, errors; a Ranking is a list."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from mmrerank.errors import InputError, MediaNotFound
from tests.cross_encoder._samples import DOCUMENTS, QUERY, UNCLOSED_TEMPLATES, picture
from tests.cross_encoder.conftest import ModelOf

pytestmark = UNCLOSED_TEMPLATES


def test_entries_have_the_peers_keys_in_the_peers_order(ours_of: ModelOf, peer_of: ModelOf) -> None:
    for options in ({}, {"return_documents": True}, {"top_k": 2}):
        ours = ours_of("bert").rank(QUERY, DOCUMENTS, **options)
        theirs = peer_of("bert").rank(QUERY, DOCUMENTS, **options)
        assert [list(entry) for entry in ours] == [list(entry) for entry in theirs]
        assert [type(entry["score"]) for entry in ours] == [float] * len(theirs)
        assert [type(entry["corpus_id"]) for entry in ours] == [int] * len(theirs)


def test_documents_come_back_as_the_objects_given(ours_of: ModelOf) -> None:
    documents: list[Any] = [picture(64, 64), "a", {"text": "b", "image": picture(64, 64)}]
    ranking = ours_of("qwen3-vl").rank("q", documents, return_documents=True)
    assert len(ranking) == 3
    assert all(entry["text"] is documents[entry["corpus_id"]] for entry in ranking)


def test_equal_scores_keep_the_order_given(ours_of: ModelOf) -> None:
    ranking = ours_of("bert").rank(QUERY, ["same", "other words", "same", "same"])
    same = [entry["corpus_id"] for entry in ranking if entry["corpus_id"] != 1]
    assert same == [0, 2, 3]


def test_top_k_keeps_the_best_with_their_details(ours_of: ModelOf) -> None:
    full = ours_of("bert").rank(QUERY, DOCUMENTS)
    best = ours_of("bert").rank(QUERY, DOCUMENTS, top_k=2)
    assert best == full[:2]
    assert [detail.index for detail in best.details] == [e["corpus_id"] for e in best]
    assert best.usage.num_pairs == len(DOCUMENTS)


def test_rank_of_no_documents_is_empty(ours_of: ModelOf) -> None:
    assert ours_of("bert").rank(QUERY, []) == []


def test_model_of_three_labels_is_refused_in_the_peers_words(
    ours_of: ModelOf, peer_of: ModelOf
) -> None:
    messages = []
    for model in (ours_of("bert-nli"), peer_of("bert-nli")):
        with pytest.raises(ValueError, match="num_labels=1") as caught:
            model.rank(QUERY, DOCUMENTS)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_recorded_error_stands_last_with_nan_and_its_message(ours_of: ModelOf) -> None:
    ranking = ours_of("qwen3-vl").rank("q", ["zz.jpg", "bread"], on_error="record")
    assert [entry["corpus_id"] for entry in ranking] == [1, 0]
    assert math.isnan(ranking[1]["score"])
    assert ranking[1]["error"].startswith("MediaNotFound: documents[0].image:")
    assert "error" not in ranking[0]
    assert (ranking.usage.num_pairs, ranking.usage.num_errors) == (1, 1)


def test_bad_query_raises_although_errors_are_recorded(ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match="query"):
        ours_of("qwen3-vl").rank({}, ["bread"], on_error="record")


def test_missing_query_file_raises_although_errors_are_recorded(ours_of: ModelOf) -> None:
    with pytest.raises(MediaNotFound, match=r"query\.image"):
        ours_of("qwen3-vl").rank("zz.jpg", ["bread"], on_error="record")


def test_ranking_is_a_list_that_json_writes(ours_of: ModelOf) -> None:
    ranking = ours_of("bert").rank(QUERY, DOCUMENTS[:2])
    assert isinstance(ranking, list)
    assert ranking == [dict(entry) for entry in ranking]
    assert json.loads(json.dumps(ranking)) == ranking


def test_html_escapes_what_comes_from_outside(ours_of: ModelOf) -> None:
    ranking = ours_of("bert").rank(QUERY, ["<script>alert(1)</script>"], return_documents=True)
    assert "<script>" not in ranking.to_html()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in ranking.to_html()


def test_documents_may_come_from_a_generator(ours_of: ModelOf) -> None:
    made = (text for text in DOCUMENTS)
    ranking = ours_of("bert").rank(QUERY, made, return_documents=True)
    assert ranking == ours_of("bert").rank(QUERY, DOCUMENTS, return_documents=True)


@pytest.mark.parametrize("documents", ["one text", {"text": "one"}, b"bytes", None, 3])
def test_single_document_without_a_list_is_refused(documents: Any, ours_of: ModelOf) -> None:
    with pytest.raises(InputError, match=r"documents: got .* takes a list"):
        ours_of("bert").rank(QUERY, documents)
