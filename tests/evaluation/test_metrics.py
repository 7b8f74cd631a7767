"""Numbers from scores and labels: as the peer computes them, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator

from mmrerank.evaluation.documents import document_key, listed
from mmrerank.evaluation.metrics import (
    average_precision,
    best_accuracy,
    best_f1,
    correlations,
    ranking_scores,
)

# Few distinct values, so that equal scores are common.
PAIRS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([0.0, 0.25, 0.5, 0.5000001, 1.0]),
            st.floats(-1e3, 1e3, width=32),
        ),
        st.sampled_from([0, 1]),
    ),
    min_size=1,
    max_size=12,
)


def arrays(pairs):
    scores, labels = zip(*pairs, strict=True)
    return np.asarray(scores, dtype=np.float32), np.asarray(labels)


@given(PAIRS)
def test_best_accuracy_is_that_of_the_peer(pairs):
    scores, labels = arrays(pairs)
    found = best_accuracy(scores, labels)
    expected = BinaryClassificationEvaluator.find_best_acc_and_threshold(scores, labels, True)
    assert (found.accuracy, found.threshold) == expected
    assert np.mean((scores >= found.threshold) == labels) == pytest.approx(found.accuracy)


@given(PAIRS)
def test_best_f1_is_that_of_the_peer(pairs):
    scores, labels = arrays(pairs)
    found = best_f1(scores, labels)
    expected = BinaryClassificationEvaluator.find_best_f1_and_threshold(scores, labels, True)
    assert (found.f1, found.precision, found.recall, found.threshold) == pytest.approx(expected)


def test_average_precision_without_positives_is_zero_and_warns_of_nothing():
    assert average_precision(np.array([0.3, 0.1]), np.array([0, 0])) == 0.0


def test_correlation_of_equal_scores_is_nan_and_warns_of_nothing():
    assert all(math.isnan(one) for one in correlations([1.0, 2.0, 3.0], np.array([0.5] * 3)))


@pytest.mark.parametrize(("is_relevant", "ndcg"), [([1], 1.0), ([0], 0.0)])
def test_lone_document_is_ranked_right_if_it_is_relevant(is_relevant, ndcg):
    found = ranking_scores(is_relevant, [0.2], 10)
    assert (found.ndcg, found.mrr) == (ndcg, ndcg)


def test_relevant_document_behind_the_cut_off_has_no_reciprocal_rank():
    assert ranking_scores([0, 0, 1], [0.9, 0.8, 0.1], 2).mrr == 0.0
    assert ranking_scores([0, 0, 1], [0.9, 0.8, 0.1], 3).mrr == pytest.approx(1 / 3)


def test_documents_of_equal_content_have_equal_keys():
    from PIL import Image

    from mmrerank import Document, Text
    from mmrerank import Image as ImagePart

    red, also_red = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "red")
    sound = np.arange(4, dtype=np.float32)
    pairs = [
        (red, also_red),
        (sound, sound.copy()),
        ({"text": "a", "image": red}, {"image": also_red, "text": "a"}),
        (["a", red], ("a", also_red)),
        (Document((Text("a"), ImagePart(red))), Document((Text("a"), ImagePart(also_red)))),
        (b"x", b"x"),
    ]
    assert [document_key(one) == document_key(other) for one, other in pairs] == [True] * 6


def test_documents_of_unlike_content_have_unlike_keys():
    from PIL import Image

    documents = [
        "a",
        b"a",
        {"text": "a"},
        ["a"],
        Image.new("RGB", (4, 4), "red"),
        Image.new("RGB", (4, 4), "blue"),
        np.zeros(4, dtype=np.float32),
        np.zeros(4, dtype=np.float64),
        np.zeros((2, 2), dtype=np.float32),
        object(),
        object(),
    ]
    assert len({document_key(document) for document in documents}) == len(documents)


def test_one_document_is_a_list_of_one():
    text = {"text": "a"}
    assert [listed("abc"), listed(text), listed(["a", "b"]), listed(b"x")] == [
        ["abc"],
        [text],
        ["a", "b"],
        [b"x"],
    ]
