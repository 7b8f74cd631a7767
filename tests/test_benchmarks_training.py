"""The benchmark of training: both libraries train alike, and what is counted is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks._training_runs import (
    OURS,
    PEER,
    Contestant,
    counted_tokens,
    final_loss,
    in_order,
)
from benchmarks._training_works import labelled_pictures, labelled_texts, text_groups, works
from benchmarks.training import measure
from mmrerank import CrossEncoder
from tests.checkpoints import build_bert, build_qwen3_vl

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On models this small more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bert(tmp_path_factory.mktemp("training") / "checkpoint")


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_qwen3_vl(tmp_path_factory.mktemp("training") / "checkpoint")


def test_documents_of_label_one_alone_hold_the_querys_words():
    rows = labelled_texts(12, 20, 40)
    assert {row["label"] for row in rows} == {0.0, 1.0}
    for row in rows:
        assert (row["query"] in row["document"]) == (row["label"] == 1.0)


def test_groups_have_a_positive_and_as_many_negatives_as_asked():
    rows = text_groups(5, num_hard=3, least=20, most=40)
    assert rows.column_names == ["query", "positive", "negative_0", "negative_1", "negative_2"]
    for row in rows:
        assert row["query"] in row["positive"]
        assert row["query"] not in row["negative_0"]


def test_batches_in_order_hold_one_query_and_one_positive_each():
    rows = labelled_pictures(4, 3, side_px=32)
    for batch in in_order(rows, 4, drop_last=False):
        assert len({rows[index]["query"] for index in batch}) == 1
        assert [rows[index]["label"] for index in batch] == [1.0, 0.0, 0.0, 0.0]


def test_every_turn_starts_at_the_weights_of_the_checkpoint(bert):
    work = works(is_tiny=True)[0]
    contestant = Contestant(OURS, bert, work, work.dataset(), packed=True)
    losses = []
    for _ in range(2):
        contestant.prepare()
        contestant()
        losses.append(contestant.losses)
    assert losses[0] == losses[1]
    assert len(losses[0]) == work.num_steps
    assert len(contestant.peak_bytes) == 2


def test_adapters_of_both_libraries_train_the_same_layers_alike(multimodal):
    work = replace(works(is_tiny=True)[2], learning_rate=1e-2)
    trained = {}
    for library, packed in ((OURS, True), (PEER, None)):
        contestant = Contestant(library, multimodal, work, work.dataset(), packed)
        contestant.prepare()
        contestant()
        trained[library] = contestant
    ours, theirs = trained[OURS], trained[PEER]
    names = [
        {name for name, p in run.trainer.model.named_parameters() if p.requires_grad}
        for run in (ours, theirs)
    ]
    assert names[0] == names[1]
    assert all("lora" in name for name in names[0])
    assert ours.losses == pytest.approx(theirs.losses, abs=1e-4)
    assert len({round(loss, 3) for loss in ours.losses}) > 1


def test_tokens_are_counted_without_padding(bert):
    model = CrossEncoder(str(bert), device="cpu")
    pairs = [("a dog", "a cat"), ("a dog", "the red ferry stops at night")]
    with counted_tokens(model) as lengths:
        model.preprocess_for_training(pairs)
    padded = model.preprocess(pairs)["attention_mask"]
    assert lengths == padded.sum(dim=1).tolist()
    assert len(set(lengths)) == 2
    model.preprocess_for_training(pairs)
    assert len(lengths) == 2  # counting has ended


@pytest.mark.parametrize(
    ("losses", "expected"), [([8.0, 7.0, 1.0, 3.0, 2.0, 4.0, 5.0, 7.0], 6.0), ([3.0, 2.0], 2.0)]
)
def test_final_loss_is_the_mean_of_the_last_quarter(losses, expected):
    assert final_loss(losses) == expected


def test_row_compares_time_loss_and_memory_of_all_contestants(bert):
    row = measure(works(is_tiny=True)[0], bert, num_rounds=1)
    assert list(row.case.times.seconds) == ["peer", "ours", "ours, padded"]
    loss, memory = row.verdicts
    assert loss.value < 1e-4
    assert memory.value > 0
    rates = {
        row.case.checks[f"tokens a second without padding, {n}"] for n in row.case.times.seconds
    }
    assert len(rates) == 3
    first, last = (
        row.case.checks[f"{name}, ours"] for name in ("loss of the first step", "final loss")
    )
    assert first != last  # something was learned, so that equal losses say something


@pytest.mark.slow
def test_tiny_run_of_all_works_writes_json(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.training", "--tiny", "--rounds", "1"]
    subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, check=True)
    cases = json.loads(file.read_text())["cases"]
    assert len(cases) == len(works())
    for case in cases:
        loss, _ = case["verdicts"]
        assert loss["met"]
