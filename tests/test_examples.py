"""The examples run from top to bottom with the model in the package, and do what they say."""

from __future__ import annotations

import ast
import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmrerank import CrossEncoder

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "__init__")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # on a model this small more threads only wait for each other
    yield
    torch.set_num_threads(before)


def run(name: str, *argv: str):
    return importlib.import_module(f"examples.{name}").main(list(argv))


def test_text_example_trains_a_model_that_loads(capsys):
    run("finetune_text", "--steps", "2", "--out", "trained")
    assert "nDCG@10 of held-out queries" in capsys.readouterr().out
    assert 0 <= CrossEncoder("trained").predict([("a vuno star", "a red star")])[0] <= 1


@pytest.mark.slow
def test_text_example_teaches_words():
    before, after = run("finetune_text")
    assert after >= before + 0.1


@pytest.mark.slow
def test_image_example_teaches_words():
    torch.manual_seed(0)  # an adapter starts from random weights
    assert run("finetune_images") >= 0.7  # 0.5 is chance


def test_image_example_trains_an_adapter(capsys):
    run("finetune_images", "--pictures", "2", "--out", "adapter")
    assert Path("adapter", "adapter_model.safetensors").exists()
    assert "of 2 new pictures" in capsys.readouterr().out


def test_calibration_example_stores_what_it_fits(capsys):
    found = run("calibrate", "--out", "calibrated")
    assert CrossEncoder("calibrated").calibration == found
    assert "probability" in capsys.readouterr().out


def test_evaluation_example_reads_a_file_and_draws_a_page(capsys):
    rows = [{"query": "a red circle", "positive": ["a circle, red"], "negative": ["a blue star"]}]
    Path("dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = run("evaluate", "--data", "dev.jsonl", "--html", "page.html")
    assert metrics["ndcg@10"] == 1.0
    assert Path("page.html").read_text(encoding="utf-8").count("<svg") >= 1
    assert "look at this first" in capsys.readouterr().out


def test_evaluation_example_brings_data_of_its_own():
    assert 0 <= run("evaluate")["ndcg@10"] <= 1


def test_every_example_is_run_here():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in NAMES if f'run("{name}"' in source] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_example_is_one_short_task_with_a_main(name: str):
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert len(text.splitlines()) <= 64
