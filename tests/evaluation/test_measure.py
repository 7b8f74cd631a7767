"""Which metrics data allow, and that they are right."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from mmrerank.errors import InputError
from mmrerank.evaluation.data import EvalData, JudgedPair
from mmrerank.evaluation.measure import calibration_error, measure, probabilities
from mmrerank.evaluation.results import as_dict, report_of
from mmrerank.types import Document, Pair, Text


def data_of(labels_by_query, *, missing=None, first_stage=None):
    """Documents d0, d1, … for each query; `missing` are judged and not among the pairs."""
    pairs: list[JudgedPair] = []
    judgements: dict[str, dict[str, float]] = {}
    for query, labels in labels_by_query.items():
        judgements[query] = {f"d{i}": float(label) for i, label in enumerate(labels)}
        judgements[query] |= (missing or {}).get(query, {})
        for i, label in enumerate(labels):
            text = Document((Text(f"{query} {i}"),))
            pairs.append(JudgedPair(query, f"d{i}", Pair(len(pairs), text, text), float(label)))
    return EvalData("made", pairs, judgements, first_stage or {})


def test_ranking_metrics_are_those_of_sklearn():
    labels = {"a": [1, 0, 0, 1, 0], "b": [0, 0, 1, 0, 0]}
    scores = np.array([0.9, 0.8, 0.3, 0.4, 0.1, 0.5, 0.2, 0.4, 0.1, 0.0])
    found = measure(data_of(labels), scores)
    rows = list(labels.values())
    assert found.primary == "ndcg@10"
    assert found.metrics["ndcg@3"] == pytest.approx(ndcg_score(rows, scores.reshape(2, 5), k=3))
    assert found.metrics["map"] == pytest.approx((np.mean([1, 2 / 3]) + 1 / 2) / 2)
    assert found.metrics["mrr@10"] == pytest.approx((1 + 1 / 2) / 2)
    assert found.metrics["recall@1"] == pytest.approx((1 / 2 + 0) / 2)
    assert found.ndcg["reranked"][1] == found.metrics["ndcg@1"] == 0.5


def test_documents_that_were_not_found_count_as_not_found():
    missing = {"a": {"far": 1.0}, "never": {"d0": 1.0}}
    data = data_of({"a": [1, 0]}, missing=missing)
    data.judgements["never"] = missing["never"]
    found = measure(data, np.array([0.9, 0.1]))
    assert found.metrics["recall@10"] == pytest.approx((1 / 2 + 0) / 2)
    assert found.metrics["mrr@10"] == pytest.approx((1 + 0) / 2)


def test_earlier_stage_is_measured_beside():
    data = data_of({"a": [0, 1]}, first_stage={"a": ["d0", "d1"]})
    found = measure(data, np.array([0.1, 0.9]))
    assert (found.before["mrr@10"], found.metrics["mrr@10"]) == (0.5, 1.0)
    assert set(found.ndcg) == {"before", "reranked"}


def test_grades_are_used_and_nothing_is_called_accurate():
    found = measure(data_of({"a": [3, 1, 0]}), np.array([0.5, 0.9, 0.1]))
    ideal, got = 3 + 1 / np.log2(3), 1 + 3 / np.log2(3)
    assert found.metrics["ndcg@10"] == pytest.approx(got / ideal)
    assert "accuracy" not in found.metrics
    assert "spearman" in found.metrics


def test_one_document_a_query_gives_no_ranking_metrics():
    found = measure(data_of({"a": [1], "b": [0]}), np.array([0.9, 0.2]))
    assert found.primary == "average_precision"
    assert found.metrics["accuracy"] == 1.0
    assert not found.ndcg


def test_scores_as_labels_are_correlated():
    data = data_of({"a": [0.1], "b": [0.7], "c": [0.9]})
    found = measure(data, np.array([-3.0, 1.0, 2.0]))
    assert found.primary == "spearman"
    assert found.metrics["spearman"] == pytest.approx(1.0)


def test_several_labels_are_classes():
    data = data_of({"a": [0, 2], "b": [1]})
    found = measure(data, np.eye(3)[[0, 2, 2]])
    assert found.primary == "f1_macro"
    assert found.metrics["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("label", [3, 0.5, -1])
def test_label_that_is_no_class_is_refused(label):
    with pytest.raises(InputError, match="whole numbers from 0 to 2"):
        measure(data_of({"a": [0, label]}), np.zeros((2, 3)))


def test_score_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="score of pair 1 is nan"):
        measure(data_of({"a": [1, 0]}), np.array([0.1, np.nan]))


def test_calibration_error_is_the_gap_between_prediction_and_truth():
    predicted = np.array([0.95, 0.95, 0.05, 0.05])
    assert calibration_error(predicted, np.array([1, 1, 0, 0])) == pytest.approx(0.05)
    assert calibration_error(predicted, np.array([0, 0, 1, 1])) == pytest.approx(0.95)
    assert calibration_error(np.array([1.0, 0.0]), np.array([1, 0])) == 0.0
    # bin 0.2: (0.2 + 0.25 - 1) = 0.55 off; bin 0.9: (0.95 - 1) = 0.05 off; over three pairs
    assert calibration_error([0.2, 0.25, 0.95], [0, 1, 1]) == pytest.approx(0.2)


def test_logits_become_probabilities_and_probabilities_stay():
    assert probabilities([0.2, 1.0]).tolist() == [0.2, 1.0]
    assert probabilities([-1e9, 0.0, 1e9]).tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_results_say_what_a_reader_needs():
    data = data_of({"a": [1, 0], "b": [0, 1]})
    scores = np.array([0.2, 0.9, 0.1, 0.8])
    measured = measure(data, scores)
    results = as_dict("models/mine", data, measured)
    assert (results["num_queries"], results["num_pairs"]) == (2, 4)
    report = report_of("models/mine", data, measured, scores)
    assert report.title == "mine on made"
    assert report.headline == ("ndcg@10", measured.metrics["ndcg@10"])
    assert [(one.query, one.label) for one in report.examples] == [
        ("a 0", 1.0),
        ("b 1", 1.0),
        ("a 1", 0.0),
        ("b 0", 0.0),
    ]
