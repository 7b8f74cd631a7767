"""`mmrerank distill`: a student in a folder, and no pair asked twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrerank import CrossEncoder
from tests.checkpoints import build_bert

WORDS = ["tea", "cup", "car", "road"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"query": f"{word} ?", "documents": WORDS, "labels": [0, 0, 0, 1]} for word in WORDS]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def student(tmp_path: Path) -> Path:
    return build_bert(tmp_path / "student", seed=1)


def test_student_is_trained_and_saved_and_the_teachers_scores_are_kept(
    run, text_model, student, data, tmp_path
):
    arguments = ["distill", text_model, student, "--data", data, "--out", tmp_path / "out"]
    first = run(*arguments, "--max-steps", 2, "--lr", 0.01, "--device", "cpu")
    assert first.code == 0, first.err
    assert "16 pairs scored by the teacher, 4 queries" in first.out
    assert len((tmp_path / "out" / "teacher_scores.jsonl").read_text().splitlines()) == 16
    pair = [("tea", "a cup")]
    trained = CrossEncoder(str(tmp_path / "out"), device="cpu").predict(pair)
    assert trained != CrossEncoder(str(student), device="cpu").predict(pair)
    second = run(*arguments, "--loss", "margin-mse", "--max-steps", 1, "--device", "cpu")
    assert second.code == 0, second.err
    assert "0 pairs scored by the teacher" in second.out


def test_unknown_loss_is_refused_before_a_model_is_loaded(run, data, tmp_path):
    ran = run("distill", "no/teacher", "no/student", "--data", data, "--out", tmp_path, "--loss=x")
    assert ran.code == 2
    assert "--loss x: allowed are kl, margin-mse" in ran.err


def test_missing_data_is_one_line_on_stderr(run, text_model, student, tmp_path):
    missing = tmp_path / "none.jsonl"
    ran = run("distill", text_model, student, "--data", missing, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "none.jsonl" in ran.err
