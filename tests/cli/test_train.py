"""`mmrerank train`: a small run on a tiny checkpoint, its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmrerank import CrossEncoder

ROWS = [
    {"query": "red", "positive": ["a red thing", "red paint"], "negative": ["a blue thing"]},
    {"query": "blue", "positive": ["a blue thing"], "negative": ["red paint", "a red thing"]},
] * 4


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n")
    return path


@pytest.fixture
def arguments(data: Path, text_model: Path, tmp_path: Path) -> list[Any]:
    options = ["--data", data, "--model", text_model, "--out", tmp_path / "out"]
    return ["train", *options, "--max-steps", 3, "--batch-size", 4, "--device", "cpu"]


def test_run_leaves_a_model_with_card_and_log(run: Any, arguments: list[Any], tmp_path: Path):
    ran = run(*arguments, "--lr", 0.01)
    out = tmp_path / "out"
    assert (ran.code, ran.err.count("error")) == (0, 0)
    assert "3 in " in ran.out
    card = (out / "README.md").read_text()
    assert "mmrerank" in card
    assert json.loads((out / "trainer_state.json").read_text())["global_step"] == 3
    assert CrossEncoder(str(out), device="cpu").predict([("red", "a red thing")]).shape == (1,)


def test_training_changes_scores_and_no_learning_rate_does_not(
    run: Any, arguments: list[Any], text_model: Path, tmp_path: Path
):
    run(*arguments, "--lr", 0)
    pairs = [("red", "a red thing"), ("red", "a blue thing")]
    start = CrossEncoder(str(text_model), device="cpu").predict(pairs)
    assert CrossEncoder(str(tmp_path / "out"), device="cpu").predict(pairs) == pytest.approx(start)
    other = [tmp_path / "other" if part == tmp_path / "out" else part for part in arguments]
    run(*other, "--lr", 0.01)
    after = CrossEncoder(str(tmp_path / "other"), device="cpu").predict(pairs)
    assert after != pytest.approx(start, abs=1e-3)


def test_held_out_data_are_measured_before_and_after(
    run: Any, arguments: list[Any], data: Path, tmp_path: Path
):
    page = tmp_path / "report.html"
    ran = run(*arguments, "--eval-data", data, "--json", tmp_path / "r.json", "--html", page)
    results = json.loads((tmp_path / "r.json").read_text())
    assert ran.code == 0
    assert results["primary_metric"] == "ndcg@10"
    assert set(results["before"]) == set(results["metrics"])
    assert results["num_rows"] == 8
    assert results["options"]["loss"] == "BinaryCrossEntropyLoss"
    assert [word for word in ("metric", "before", "trained", "gain") if word not in ran.out] == []
    assert "<svg" in page.read_text()


def test_metrics_of_the_run_are_those_of_the_saved_model(
    run: Any, arguments: list[Any], data: Path, tmp_path: Path
):
    trained = json.loads(run(*arguments, "--eval-data", data, "--json", "-").out)
    out = ["--data", data, "--json", "-", "--device", "cpu"]
    evaluated = json.loads(run("eval", tmp_path / "out", *out).out)
    assert trained["metrics"] == pytest.approx(evaluated["metrics"], abs=1e-5)


def test_results_without_held_out_data(run: Any, arguments: list[Any]):
    results = json.loads(run(*arguments, "--json", "-").out)
    assert results["num_steps"] == 3
    assert results["final_loss"] > 0
    assert "metrics" not in results


@pytest.mark.parametrize("name", ["LambdaLoss", "multiplenegativesranking", "listnet"])
def test_loss_is_chosen_by_name_and_gets_its_form_of_data(
    run: Any, arguments: list[Any], name: str
):
    ran = run(*arguments, "--loss", name, "--json", "-")
    assert json.loads(ran.out)["options"]["loss"].lower().startswith(name.lower()[:7])


def test_resumed_run_goes_on_where_it_stopped(run: Any, arguments: list[Any], tmp_path: Path):
    run(*arguments)
    more = [5 if part == 3 else part for part in arguments]
    ran = run(*more, "--resume", "--json", "-")
    assert json.loads(ran.out)["num_steps"] == 5
    history = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    assert [row["step"] for row in history if "loss" in row] == [1, 2, 3, 4, 5]


def test_adapter_is_trained_alone(run: Any, arguments: list[Any], tmp_path: Path):
    pytest.importorskip("mmrerank.training.presets")
    ran = run(*arguments, "--lora")
    assert (ran.code, ran.err.count("error")) == (0, 0)
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()


def test_media_of_the_file_are_trained_on(
    run: Any, arguments: list[Any], picture_model: Path, media: Path, tmp_path: Path
):
    (tmp_path / "cat.jpg").write_bytes((media / "cat.jpg").read_bytes())
    rows = [
        {"query": "a cat", "document": "cat.jpg", "label": 1},
        {"query": "a dog", "document": {"text": "seen", "image": "cat.jpg"}, "label": 0},
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    given = [picture_model if part == arguments[4] else part for part in arguments]
    ran = run(*given, "--freeze-towers", "--json", "-")
    assert json.loads(ran.out)["num_steps"] == 3


# ------------------------------------------------------------ refused


def test_folder_with_something_in_it_is_not_overwritten(
    run: Any, arguments: list[Any], tmp_path: Path
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").write_text("")
    ran = run(*arguments)
    assert ran.code == 2
    assert "is not empty" in ran.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--loss", "lambada"], "--loss lambada: known are ADRMSELoss"),
        (["--eval-data", "no.jsonl"], "no.jsonl: no such file"),
        (["--resume"], "no complete checkpoint"),
        (["--batch-size", "0"], "batch-size"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Any, arguments: list[Any], more: list[str], message: str
):
    ran = run(*arguments, *more)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_bad_line_is_named(run: Any, arguments: list[Any], data: Path):
    data.write_text('{"query": "a", "document": "b", "label": "x"}\n')
    ran = run(*arguments)
    assert ran.code == 2
    assert f"{data}, line 1, label: 'x' is no number" in ran.err


def test_labels_that_the_loss_cannot_learn_from_are_refused(
    run: Any, arguments: list[Any], data: Path
):
    data.write_text('{"query": "a", "document": "b", "label": 5}\n')
    ran = run(*arguments)
    assert ran.code == 2
    assert "wants numbers from 0 to 1, found numbers from 5 to 5" in ran.err
