"""Metrics, files and names are those of sentence-transformers on the same checkpoint and data."""

from __future__ import annotations

from typing import Any

import pytest
from sentence_transformers import InputExample as PeerExample
from sentence_transformers.cross_encoder import evaluation as theirs

from mmrerank.cross_encoder import evaluation as ours
from mmrerank.readers import InputExample
from tests.evaluation._data import (
    BINARY,
    CLASSES,
    GRADES,
    PAIRS,
    with_documents,
    with_negatives,
)

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "binary": (
        "bert",
        "CrossEncoderClassificationEvaluator",
        {"sentence_pairs": PAIRS, "labels": BINARY},
    ),
    "classes": (
        "bert-nli",
        "CrossEncoderClassificationEvaluator",
        {"sentence_pairs": PAIRS, "labels": CLASSES},
    ),
    "correlation": (
        "bert",
        "CrossEncoderCorrelationEvaluator",
        {"sentence_pairs": PAIRS, "scores": GRADES},
    ),
    "negatives": ("bert", "CrossEncoderRerankingEvaluator", {"samples": with_negatives()}),
    "negatives at 2": (
        "bert",
        "CrossEncoderRerankingEvaluator",
        {"samples": with_negatives(), "at_k": 2},
    ),
    "documents": ("bert", "CrossEncoderRerankingEvaluator", {"samples": with_documents()}),
    "documents only": (
        "bert",
        "CrossEncoderRerankingEvaluator",
        {"samples": with_documents(), "always_rerank_positives": False},
    ),
    "old name of at_k": (
        "bert",
        "CrossEncoderRerankingEvaluator",
        {"samples": with_negatives(), "mrr_at_k": 3},
    ),
}


# One query of `documents` has no positive at all, and none is found in another: sklearn says so.
@pytest.mark.filterwarnings("ignore:No positive class found in y_true:UserWarning")
@pytest.mark.parametrize("named", ["", "dev"])
@pytest.mark.parametrize("case", CASES)
def test_metrics_and_files_equal_those_of_the_peer(case, named, ours_of, peer_of, tmp_path):
    checkpoint, evaluator, arguments = CASES[case]
    mine = getattr(ours, evaluator)(**arguments, name=named)
    peer = getattr(theirs, evaluator)(**arguments, name=named)
    for epoch, steps in ((-1, -1), (2, 40)):
        found = mine(ours_of(checkpoint), str(tmp_path / "mine"), epoch, steps)
        expected = peer(peer_of(checkpoint), str(tmp_path / "peer"), epoch, steps)
        assert list(found) == list(expected)
        assert found == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert mine.primary_metric == peer.primary_metric
    assert mine.description == peer.description
    assert mine.get_config_dict() == peer.get_config_dict()
    assert_same_csv(tmp_path / "mine", tmp_path / "peer")


def assert_same_csv(mine, peer):
    files = sorted(path.name for path in peer.iterdir())
    assert sorted(path.name for path in mine.iterdir()) == files
    assert files
    for name in files:
        rows = [(path / name).read_bytes().splitlines(keepends=True) for path in (mine, peer)]
        assert rows[0][0] == rows[1][0]
        assert [row.endswith(b"\r\n") for row in rows[0]] == [
            row.endswith(b"\r\n") for row in rows[1]
        ]
        numbers = [[float(n) for row in some[1:] for n in row.split(b",")] for some in rows]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "CEBinaryAccuracyEvaluator",
        "CEBinaryClassificationEvaluator",
        "CEF1Evaluator",
        "CESoftmaxAccuracyEvaluator",
        "CECorrelationEvaluator",
    ],
)
def test_old_names_read_input_examples_as_the_peer_does(name, ours_of, peer_of):
    checkpoint = "bert-nli" if "Softmax" in name else "bert"
    labels: dict[str, Any] = {
        "CECorrelationEvaluator": GRADES,
        "CESoftmaxAccuracyEvaluator": CLASSES,
    }
    found = []
    for module, example, model in (
        (ours, InputExample, ours_of(checkpoint)),
        (theirs, PeerExample, peer_of(checkpoint)),
    ):
        examples = [
            example(texts=pair, label=label)
            for pair, label in zip(PAIRS, labels.get(name, BINARY), strict=True)
        ]
        with pytest.warns(DeprecationWarning, match="deprecated|renamed"):
            evaluator = getattr(module, name).from_input_examples(examples, name="sts-dev")
        found.append((evaluator(model), evaluator.description, evaluator.primary_metric))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    assert found[0][1:] == found[1][1:]


def test_old_reranking_name_gives_what_the_new_one_gives(ours_of):
    with pytest.warns(DeprecationWarning, match="use CrossEncoderRerankingEvaluator"):
        old = ours.CERerankingEvaluator(with_negatives(), name="dev")
    new = ours.CrossEncoderRerankingEvaluator(with_negatives(), name="dev")
    assert old(ours_of("bert")) == new(ours_of("bert"))


def test_every_name_of_the_peer_is_there():
    missing = set(theirs.__all__) - set(ours.__all__)
    assert missing == set()
