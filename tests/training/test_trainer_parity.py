"""Ten steps in both libraries end in the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import DatasetDict

from tests import checkpoints
from tests.training import _runs as runs

pytestmark = pytest.mark.usefixtures("one_thread")

RUNS: dict[str, tuple[Any, Any]] = {
    "binary cross-entropy": (
        runs.pairs,
        lambda losses, model: losses.BinaryCrossEntropyLoss(model),
    ),
    "in-batch negatives": (
        runs.positives,
        lambda losses, model: losses.MultipleNegativesRankingLoss(model),
    ),
    "cached in-batch negatives": (
        runs.positives,
        lambda losses, model: losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=3),
    ),
    "lists": (runs.lists, lambda losses, model: losses.LambdaLoss(model)),
    "margins": (runs.lists, lambda losses, model: losses.ListNetLoss(model)),
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_bert(tmp_path_factory.mktemp("parity") / "bert")


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_qwen3(tmp_path_factory.mktemp("parity") / "lm")


def both(folder: Path, tmp_path: Path, dataset: Any, loss_of: Any, **changed: Any) -> Any:
    ours = runs.train(runs.OURS, folder, tmp_path / "ours", dataset, loss_of, **changed)
    theirs = runs.train(runs.PEER, folder, tmp_path / "peer", dataset, loss_of, **changed)
    return ours, theirs


def assert_same(ours: Any, theirs: Any) -> None:
    assert runs.losses_of(ours) == pytest.approx(runs.losses_of(theirs), abs=1e-4)
    assert len(set(runs.losses_of(ours))) > 1
    assert runs.worst_difference(ours.model, theirs.model) <= 1e-4


@pytest.mark.parametrize("name", RUNS)
def test_ten_steps_end_in_the_weights_of_the_peer(name: str, bert: Path, tmp_path: Path):
    make_dataset, loss_of = RUNS[name]
    assert_same(*both(bert, tmp_path, make_dataset(), loss_of))


def test_ten_steps_of_a_language_model_end_in_the_weights_of_the_peer(
    language_model: Path, tmp_path: Path
):
    make_dataset, loss_of = RUNS["binary cross-entropy"]
    assert_same(*both(language_model, tmp_path, make_dataset(), loss_of, learning_rate=1e-4))


def test_training_changes_the_weights(bert: Path, tmp_path: Path):
    make_dataset, loss_of = RUNS["binary cross-entropy"]
    trained = runs.train(runs.OURS, bert, tmp_path, make_dataset(), loss_of)
    assert runs.worst_difference(trained.model, runs.load(runs.OURS, bert)) > 1e-3


@pytest.mark.parametrize(
    "changed",
    [
        {"gradient_accumulation_steps": 2},
        {"max_grad_norm": 0.1},
        {"batch_sampler": "no_duplicates"},
        {"batch_sampler": "group_by_label"},
        {"prompts": "Judge the answer:"},
        {"learning_rate_mapping": {"classifier": 1e-2, r"layer\.0": 0.0}},
        {"max_steps": -1, "num_train_epochs": 2, "dataloader_drop_last": True},
        {"bf16": True},
        {"warmup_steps": 0.3, "lr_scheduler_type": "cosine"},
    ],
    ids=str,
)
def test_arguments_change_what_they_change_in_the_peer(
    changed: dict[str, Any], bert: Path, tmp_path: Path
):
    make_dataset, loss_of = RUNS["binary cross-entropy"]
    assert_same(*both(bert, tmp_path, make_dataset(), loss_of, **changed))


@pytest.mark.parametrize("sampler", ["proportional", "round_robin"])
def test_several_datasets_with_a_loss_each_end_in_the_weights_of_the_peer(
    sampler: str, bert: Path, tmp_path: Path
):
    names = {"pairs": "binary cross-entropy", "triplets": "in-batch negatives"}
    changed = {
        "multi_dataset_batch_sampler": sampler,
        "prompts": {"pairs": "Judge:", "triplets": "Find:"},
    }
    results = []
    for library in (runs.OURS, runs.PEER):
        # Made anew: the peer adds its column to the datasets that it is given.
        datasets = DatasetDict({name: RUNS[run][0](20) for name, run in names.items()})
        losses = {name: RUNS[run][1] for name, run in names.items()}
        results.append(
            runs.train(
                library, bert, tmp_path / library.args.__module__, datasets, losses, **changed
            )
        )
    assert_same(*results)


def test_loss_in_parts_is_summed_and_each_part_logged_as_in_the_peer(bert: Path, tmp_path: Path):
    import torch

    class InParts(torch.nn.Module):
        def __init__(self, losses: Any, model: Any) -> None:
            super().__init__()
            self.model = model
            self.inner = losses.BinaryCrossEntropyLoss(model)

        def forward(self, inputs: Any, labels: Any, prompt: Any = None, task: Any = None) -> Any:
            loss = self.inner(inputs, labels, prompt=prompt, task=task)
            return {"main": loss, "tenth": loss / 10}

    ours, theirs = both(bert, tmp_path, runs.pairs(), InParts)
    assert_same(ours, theirs)
    for part in ("main", "tenth"):
        logged = [
            [entry[part] for entry in run.state.log_history if "loss" in entry]
            for run in (ours, theirs)
        ]
        assert len(logged[0]) == 10
        assert logged[0] == pytest.approx(logged[1], abs=1e-4)
