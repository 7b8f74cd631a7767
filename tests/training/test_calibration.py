"""Calibration: the numbers of scikit-learn, honest errors, and a file without code in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer
from sklearn.isotonic import IsotonicRegression

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError, MissingExtra
from mmrerank.evaluation.measure import calibration_error
from mmrerank.training.calibration import (
    Calibration,
    fit_calibration,
    read_calibration,
    write_calibration,
)
from tests.checkpoints import build_bert, build_bert_nli

PAIRS = [(f"question {i}", f"document {i % 7} about tea") for i in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bert(tmp_path_factory.mktemp("base") / "bert")


def samples(
    num_pairs: int = 2_000, *, slope: float = 0.5, intercept: float = -1.0
) -> tuple[Any, Any]:
    """Logits, and labels drawn with probability sigmoid(slope · logit + intercept)."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, num_pairs)
    probability = 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, (random.random(num_pairs) < probability).astype(int)


def halves(model: CrossEncoder) -> list[int]:
    logits = model.predict(PAIRS, activation_fn=torch.nn.Identity())
    return [int(logit > np.median(logits)) for logit in logits]


def test_platt_finds_the_curve_that_labels_were_drawn_from():
    found = fit_calibration(*samples(20_000), "platt")
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.intercept == pytest.approx(-1.0, abs=0.06)


def test_platt_stays_finite_where_labels_are_separable():
    found = fit_calibration(list(range(20)), [0] * 10 + [1] * 10, "platt")
    assert 0 < found.slope < 100
    probabilities = found(torch.arange(20.0))
    assert probabilities[:10].max() < 0.5 < probabilities[10:].min()


def test_isotonic_gives_the_numbers_of_scikit_learn():
    logits, labels = samples(300)
    reference = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(logits, labels)
    asked = np.linspace(-30, 30, 999)
    found = fit_calibration(logits, labels, "isotonic")(torch.from_numpy(asked))
    np.testing.assert_allclose(found.numpy(), reference.predict(asked), atol=1e-6)


def test_isotonic_of_equal_logits_is_the_share_of_relevant_pairs():
    found = fit_calibration([2.0] * 20, [0] * 15 + [1] * 5, "isotonic")
    assert found(torch.tensor([-9.0, 2.0, 9.0])).tolist() == pytest.approx([0.25] * 3)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_error_on_held_out_pairs_falls(method):
    found = fit_calibration(*samples(), method)
    assert found.ece_before > 0.1
    assert found.ece_after < 0.05


def test_error_after_is_of_pairs_that_were_not_fitted_on():
    # Labels that nothing explains: fitted on the same pairs, isotonic would show no error at all.
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=60), random.integers(0, 2, 60)
    found = fit_calibration(logits, labels, "isotonic")
    on_itself = calibration_error(found(torch.from_numpy(logits)).numpy(), labels)
    assert on_itself < 0.01 < found.ece_after


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([1.0] * 9, [1] * 9, "0 of 9 pairs are labelled 0"),
        ([1.0] * 9, [0] * 9, "0 of 9 pairs are labelled 1"),
        ([1.0, 2.0], [0, 1], "1 of 2 pairs are labelled 1"),
        ([1.0] * 10, [0, 1, 2, 3, 4] * 2, r"labels\[2\]=2: calibration needs 0"),
        ([1.0] * 10, [0.5] * 10, r"labels\[0\]=0.5"),
        ([1.0] * 10, ["1"] * 10, r"labels\[0\]='1'"),
        ([1.0] * 3, [0, 1], "2 labels for logits of shape"),
        ([math.nan, *[1.0] * 9], [0, 1] * 5, r"logits\[0\] is no finite number"),
        ([], [], "0 of 0 pairs"),
    ],
)
def test_data_that_cannot_be_fitted_is_refused(logits, labels, message):
    with pytest.raises(InputError, match=message):
        fit_calibration(logits, labels)


def test_unknown_method_is_refused():
    with pytest.raises(InputError, match="method='spline': allowed are isotonic, platt"):
        fit_calibration(*samples(20), "spline")  # type: ignore[arg-type]


def test_swapped_labels_are_warned_about(caplog):
    logits, labels = samples(200)
    fit_calibration(logits, 1 - labels, "platt")
    assert "Are 0 and 1 swapped?" in caplog.text


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.model_selection", None)
    with pytest.raises(MissingExtra, match=r"mmrerank\[train\]"):
        fit_calibration(*samples(60))


# ------------------------------------------------------------ with a model


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_saved_calibration_comes_back_and_the_peer_loads_the_folder(folder, tmp_path, method):
    model = CrossEncoder(str(folder), device="cpu")
    made = model.calibrate(PAIRS, halves(model), method)
    assert made.num_pairs == 40
    expected = model.predict(PAIRS, activation_fn=made)
    model.save_pretrained(tmp_path)
    again = CrossEncoder(str(tmp_path), device="cpu")
    assert again.calibration == made
    scores = again.predict(PAIRS, activation_fn=again.activation_for(None, True))
    np.testing.assert_array_equal(scores, expected)
    peer = Peer(str(tmp_path), device="cpu")
    np.testing.assert_allclose(peer.predict(PAIRS), model.predict(PAIRS), atol=1e-5)


def test_calibrated_scores_lie_between_0_and_1_and_keep_the_order(folder):
    model = CrossEncoder(str(folder), device="cpu")
    plain = model.predict(PAIRS)
    calibrated = model.predict(PAIRS, activation_fn=model.calibrate(PAIRS, halves(model), "platt"))
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert (np.argsort(calibrated) == np.argsort(plain)).all()


def test_saving_over_a_calibrated_folder_without_one_takes_the_file_away(folder, tmp_path):
    model = CrossEncoder(str(folder), device="cpu")
    model.calibrate(PAIRS, halves(model))
    model.save_pretrained(tmp_path)
    model.calibration = None
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "calibration.json").exists()


def test_asking_for_calibrated_scores_of_an_uncalibrated_model_is_refused(folder):
    model = CrossEncoder(str(folder), device="cpu")
    with pytest.raises(InputError, match="this model has no calibration"):
        model.activation_for(None, True)
    model.calibrate(PAIRS, halves(model))
    with pytest.raises(InputError, match="leave out activation_fn"):
        model.activation_for(torch.nn.Sigmoid(), True)


def test_calibrate_refuses_several_labels_and_unequal_lengths(folder, tmp_path):
    nli = CrossEncoder(str(build_bert_nli(tmp_path / "nli")), device="cpu")
    with pytest.raises(InputError, match="this one has 3"):
        nli.calibrate(PAIRS, [0, 1] * 20)
    with pytest.raises(InputError, match="40 pairs with 3 labels"):
        CrossEncoder(str(folder), device="cpu").calibrate(PAIRS, [0, 1, 1])


@pytest.mark.parametrize(
    "change",
    [
        {"method": "exec"},
        {"slope": math.inf},
        {"slope": "1; import os"},
        {"logits": [1, 2], "probabilities": [0.1], "method": "isotonic"},
        {"logits": [2, 1], "probabilities": [0.1, 0.2], "method": "isotonic"},
        {"more": 1},
        {"logits": 7},
    ],
)
def test_damaged_file_is_refused_by_name(tmp_path, change):
    write_calibration(tmp_path, Calibration("platt", 10, 0.1, 0.1))
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match="calibration"):
        read_calibration(tmp_path)
