"""Distillation: no pair is scored twice, a kill loses little, and the student comes nearer."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.errors import InputError
from mmrerank.training.distill import (
    ScoreCache,
    scored_by_teacher,
    teacher_fingerprint,
    train_student,
)
from mmrerank.training.distill.student import margin_rows
from mmrerank.training.distill.teacher import query_lists
from tests.checkpoints import build_bert, build_bert_nli, build_qwen3_vl

WORDS = ["tea", "cup", "car", "road", "rain", "city", "rose", "bread"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("distill")
    return [build_bert(root / str(seed), seed=seed) for seed in (0, 1)]


class Counting:
    """A teacher that counts its pairs, and may die after some."""

    def __init__(self, folder: Path, dies_after: int | None = None) -> None:
        self.model = CrossEncoder(str(folder), device="cpu")
        self.num_pairs = 0
        self.dies_after = dies_after

    def __getattr__(self, name: str):
        return getattr(self.model, name)

    def predict(self, pairs, **options):
        if self.dies_after is not None and self.num_pairs >= self.dies_after:
            raise KeyboardInterrupt
        self.num_pairs += len(pairs)
        return self.model.predict(pairs, **options)


@pytest.fixture
def data() -> Dataset:
    return Dataset.from_dict(
        {
            "query": [f"{word} ?" for word in WORDS],
            "documents": [[word, f"no {word}", WORDS[i - 1]] for i, word in enumerate(WORDS)],
        }
    )


def logits(model, dataset: Dataset) -> list[list[float]]:
    return [
        model.predict(
            [(row["query"], document) for document in row["documents"]],
            activation_fn=torch.nn.Identity(),
        ).tolist()
        for row in dataset
    ]


def test_labels_are_the_teachers_logits(folders, data, tmp_path):
    teacher = Counting(folders[0])
    scored = scored_by_teacher(teacher, data, ScoreCache(tmp_path / "s.jsonl"))
    assert scored.column_names == ["query", "documents", "labels"]
    np.testing.assert_allclose(list(scored["labels"]), logits(teacher.model, data), atol=1e-5)


def test_second_run_asks_the_teacher_nothing(folders, data, tmp_path):
    first = scored_by_teacher(Counting(folders[0]), data, ScoreCache(tmp_path / "s.jsonl"))
    again = Counting(folders[0])
    second = scored_by_teacher(again, data, ScoreCache(tmp_path / "s.jsonl"))
    assert again.num_pairs == 0
    assert second.to_list() == first.to_list()


def test_run_after_a_kill_goes_on_where_it_was(folders, data, tmp_path):
    path = tmp_path / "s.jsonl"
    with pytest.raises(KeyboardInterrupt):
        scored_by_teacher(Counting(folders[0], dies_after=8), data, ScoreCache(path), chunk_size=4)
    # A kill in the middle of a write leaves half a line.
    path.write_text(path.read_text() + '{"key": "abc", "lo')
    teacher = Counting(folders[0])
    scored_by_teacher(teacher, data, ScoreCache(path), chunk_size=4)
    assert teacher.num_pairs == 24 - 8
    assert len(ScoreCache(path)) == 24


def test_pairs_that_stand_twice_are_scored_once(folders, tmp_path):
    data = Dataset.from_dict(
        {"query": ["a", "a", "b"], "documents": [["x", "y"], ["y", "z"], ["x", "x"]]}
    )
    teacher = Counting(folders[0])
    scored = scored_by_teacher(teacher, data, ScoreCache(tmp_path / "s.jsonl"))
    assert teacher.num_pairs == 4
    assert list(scored["documents"]) == [["x", "y", "z"], ["x"]]


def test_another_teacher_or_prompt_does_not_take_these_scores(folders, data, tmp_path):
    cache = ScoreCache(tmp_path / "s.jsonl")
    scored_by_teacher(Counting(folders[0]), data, cache)
    other = Counting(folders[1])
    scored_by_teacher(other, data, cache)
    assert other.num_pairs == 24
    prompted = Counting(folders[0])
    scored_by_teacher(prompted, data, cache, prompt="Find it.")
    assert prompted.num_pairs == 24


def test_fingerprint_changes_with_one_training_step_and_not_with_the_folder(folders):
    model = CrossEncoder(str(folders[0]), device="cpu")
    before = teacher_fingerprint(model)
    assert teacher_fingerprint(CrossEncoder(str(folders[0]), device="cpu")) == before
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1e-3)
    assert teacher_fingerprint(model) != before


def test_picture_that_was_replaced_is_scored_anew(tmp_path):
    teacher = CrossEncoder(str(build_qwen3_vl(tmp_path / "vl")), device="cpu")
    path = tmp_path / "p.png"
    data = Dataset.from_dict(
        {"query": ["red"], "documents": [[{"image": str(path)}, {"image": str(path)}]]}
    )
    cache = ScoreCache(tmp_path / "s.jsonl")
    found = []
    for colour in ("red", "red", "blue"):
        Image.new("RGB", (64, 64), colour).save(path)
        found.append(scored_by_teacher(teacher, data, cache)["labels"][0][0])
    assert found[0] == found[1] != found[2]
    assert len(cache) == 2


def test_picture_in_a_data_uri_is_no_path(tmp_path):
    stored = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(stored, "PNG")  # long: no file name
    uri = f"data:image/png;base64,{base64.b64encode(stored.getvalue()).decode()}"
    data = Dataset.from_dict({"query": ["red"], "documents": [[{"image": uri}]]})
    teacher = CrossEncoder(str(build_qwen3_vl(tmp_path / "vl")), device="cpu")
    cache = ScoreCache(tmp_path / "s.jsonl")
    assert len(scored_by_teacher(teacher, data, cache)) == len(cache) == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"query": ["a", "a"], "document": ["x", "y"], "label": [0, 1]}, [("a", ["x", "y"])]),
        ({"query": ["a"], "negative": ["n"], "positive": ["p"]}, [("a", ["p", "n"])]),
    ],
)
def test_each_form_of_data_gives_queries_with_documents(columns, expected):
    assert list(query_lists(Dataset.from_dict(columns))) == expected


def test_damaged_lines_are_told_of_and_computed_again(tmp_path, caplog):
    path = tmp_path / "s.jsonl"
    path.write_text('{"key": "a", "logit": 1.5}\nnonsense\n{"key": "b", "logit": NaN}\n[1]\n')
    cache = ScoreCache(path)
    assert ("a" in cache, "b" in cache, len(cache)) == (True, False, 1)
    assert "3 lines are no scores" in caplog.text
    cache.put({"b": 2.0})
    assert ScoreCache(path).get("b") == 2.0


# ------------------------------------------------------------ the student


def test_margins_are_those_of_the_teachers_best_document():
    scored = Dataset.from_dict(
        {"query": ["q"], "documents": [["a", "b", "c"]], "labels": [[1.0, 4.0, -1.0]]}
    )
    assert margin_rows(scored).to_list() == [
        {"query": "q", "positive": "b", "negative": "a", "label": 3.0},
        {"query": "q", "positive": "b", "negative": "c", "label": 5.0},
    ]


def distance(student: CrossEncoder, scored: Dataset) -> float:
    """How far the student's spread over a query's documents is from the teacher's."""
    mine = torch.tensor(logits(student, scored))
    teachers = torch.tensor(list(scored["labels"]))
    gap = mine.log_softmax(1) - teachers.log_softmax(1)
    return float((teachers.softmax(1) * -gap).sum(1).mean())


@pytest.mark.parametrize("loss", ["kl", "margin-mse"])
def test_student_comes_nearer_to_its_teacher(folders, data, tmp_path, loss):
    scored = scored_by_teacher(Counting(folders[0]), data, ScoreCache(tmp_path / "s.jsonl"))
    student = CrossEncoder(str(folders[1]), device="cpu")
    before = distance(student, scored)
    arguments = {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 30,
        "per_device_train_batch_size": 8,
        "learning_rate": 2e-3,
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    train_student(student, scored, arguments, trainer_class=CrossEncoderTrainer, loss=loss)
    assert distance(student, scored) < 0.75 * before


def test_what_cannot_teach_or_learn_is_refused(folders, data, tmp_path):
    nli = CrossEncoder(str(build_bert_nli(tmp_path / "nli")), device="cpu")
    with pytest.raises(InputError, match="a teacher gives one score a pair; this one has 3"):
        scored_by_teacher(nli, data, ScoreCache(tmp_path / "s.jsonl"))
    student = CrossEncoder(str(folders[0]), device="cpu")
    lonely = Dataset.from_dict({"query": ["a"], "documents": [["x"]], "labels": [[1.0]]})
    for loss in ("kl", "margin-mse"):
        with pytest.raises(InputError, match="no query of the data has two documents"):
            train_student(student, lonely, {}, trainer_class=CrossEncoderTrainer, loss=loss)
    with pytest.raises(InputError, match="loss='mse': allowed are kl, margin-mse"):
        train_student(student, lonely, {}, trainer_class=CrossEncoderTrainer, loss="mse")


def test_cache_file_is_plain_json_lines(folders, data, tmp_path):
    scored_by_teacher(Counting(folders[0]), data, ScoreCache(tmp_path / "deep" / "s.jsonl"))
    lines = (tmp_path / "deep" / "s.jsonl").read_text().splitlines()
    assert len(lines) == 24
    assert {frozenset(json.loads(line)) for line in lines} == {frozenset({"key", "logit"})}
