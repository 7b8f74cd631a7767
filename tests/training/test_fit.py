"""`fit` trains on InputExamples as the peer's does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import InputExample as PeerExample
from sentence_transformers.cross_encoder.evaluation import (
    CrossEncoderCorrelationEvaluator as PeerEvaluator,
)
from torch.utils.data import DataLoader

from mmrerank.cross_encoder import fitting
from mmrerank.cross_encoder.evaluation import CrossEncoderCorrelationEvaluator
from mmrerank.errors import InputError
from mmrerank.readers import InputExample
from tests import checkpoints
from tests.training import _runs as runs

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # torch tells that memory cannot be pinned where there is no accelerator.
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_bert(tmp_path_factory.mktemp("fit") / "bert")


@pytest.fixture(autouse=True)
def _work_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_DISABLED", "true")


def loader(kind: Any, num_rows: int = 16, **options: Any) -> Any:
    rows = runs.pairs(num_rows)
    examples: Any = [
        kind(texts=[row["query"], row["document"]], label=row["label"] * 0.8 + 0.1) for row in rows
    ]
    return DataLoader(examples, batch_size=4, shuffle=False, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"warmup_steps": 2},
        {"scheduler": "WarmupCosine", "warmup_steps": 1, "weight_decay": 0.5},
        {"scheduler": "constantlr", "max_grad_norm": 0.1},
    ],
    ids=["default", "cosine", "constant"],
)
def test_fit_ends_in_the_weights_of_the_peer(options: dict[str, Any], bert: Path):
    ours, theirs = runs.load(runs.OURS, bert), runs.load(runs.PEER, bert)
    common = {"epochs": 2, "optimizer_params": {"lr": 1e-3}, "show_progress_bar": False, **options}
    fitting.fit(ours, loader(InputExample), **common)
    theirs.fit(loader(PeerExample), **common)
    assert runs.worst_difference(ours, theirs) <= 1e-4
    assert runs.worst_difference(ours, runs.load(runs.OURS, bert)) > 1e-3


def test_loss_of_torch_trains_as_the_loss_of_that_name(bert: Path):
    # Not against the peer: its fit() with loss_fct fails.
    named, of_torch = runs.load(runs.OURS, bert), runs.load(runs.OURS, bert)
    common: dict[str, Any] = {
        "optimizer_params": {"lr": 1e-3},
        "warmup_steps": 0,
        "show_progress_bar": False,
    }
    fitting.fit(named, loader(InputExample), **common)
    fitting.fit(of_torch, loader(InputExample), loss_fct=torch.nn.BCEWithLogitsLoss(), **common)
    assert runs.worst_difference(named, of_torch) <= 1e-6


def test_callback_hears_of_the_evaluations_of_the_peer_and_of_each_epoch(bert: Path):
    heard: dict[str, list[Any]] = {"ours": [], "peer": []}
    rows = runs.pairs(12)
    sides = [list(pair) for pair in zip(rows["query"], rows["document"], strict=True)]
    scores = [float(i) for i in range(12)]
    options: dict[str, Any] = {
        "epochs": 2,
        "warmup_steps": 0,
        "evaluation_steps": 3,
        "show_progress_bar": False,
    }
    fitting.fit(
        runs.load(runs.OURS, bert),
        loader(InputExample),
        evaluator=CrossEncoderCorrelationEvaluator(sides, scores),
        callback=lambda *said: heard["ours"].append(said),
        **options,
    )
    runs.load(runs.PEER, bert).fit(
        loader(PeerExample),
        evaluator=PeerEvaluator(sides, scores),
        callback=lambda *said: heard["peer"].append(said),
        **options,
    )
    steps = {name: [said[2] for said in told] for name, told in heard.items()}
    assert set(steps["peer"]) >= {3, 6}
    assert steps["ours"] == sorted([*steps["peer"], 4, 8])
    of_peer = {said[2]: said for said in heard["peer"]}
    for said in heard["ours"]:
        assert said == pytest.approx(of_peer.get(said[2], said), abs=1e-4)


def test_best_model_is_saved_when_an_epoch_ends(bert: Path, tmp_path: Path):
    rows = runs.pairs(12)
    sides = [list(pair) for pair in zip(rows["query"], rows["document"], strict=True)]
    evaluator = CrossEncoderCorrelationEvaluator(sides, [float(i) for i in range(12)])
    model = runs.load(runs.OURS, bert)
    fitting.fit(model, loader(InputExample), evaluator, output_path=str(tmp_path / "best"))
    saved = runs.load(runs.OURS, tmp_path / "best")
    assert runs.worst_difference(saved, model) == 0.0
    assert list((tmp_path / "best" / "eval").glob("*.csv"))


def test_loader_is_read_in_its_own_order_once_and_labels_of_zero_are_left_out():
    examples = [InputExample(texts=["q", f"d{i}"]) for i in range(5)]
    made = fitting._as_dataset(DataLoader(examples, batch_size=2))  # type: ignore[arg-type]
    assert made.column_names == ["sentence_0", "sentence_1"]
    assert made["sentence_1"][:] == ["d0", "d1", "d2", "d3", "d4"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [(16, {"scheduler": "warmup"}, "scheduler='warmup'"), (0, {}, "gives no examples")],
)
def test_fit_says_what_is_wrong(rows: int, options: Any, message: str, bert: Path):
    kept: Any = list(loader(InputExample).dataset)[:rows]
    examples: Any = DataLoader(kept, batch_size=4)
    with pytest.raises(InputError, match=message):
        fitting.fit(runs.load(runs.OURS, bert), examples, **options)


@pytest.mark.filterwarnings("ignore:The `max_length` property:DeprecationWarning")
def test_examples_are_collated_as_in_the_peer(bert: Path):
    ours, theirs = runs.load(runs.OURS, bert), runs.load(runs.PEER, bert)
    examples = [
        InputExample(texts=[" a query ", "a document"], label=1),
        InputExample(texts=["bread", "the old clock by the river "], label=0),
    ]
    our_tokens, our_labels = fitting.smart_batching_collate(ours, examples)
    their_tokens, their_labels = theirs.smart_batching_collate(examples)
    assert torch.equal(our_labels, their_labels)
    for name, value in their_tokens.items():
        assert torch.equal(our_tokens[name], value)
