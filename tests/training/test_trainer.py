"""What the trainer takes, logs, evaluates and refuses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict
from sentence_transformers.cross_encoder.evaluation import (
    CrossEncoderClassificationEvaluator as PeerEvaluator,
)

from mmrerank import CrossEncoder
from mmrerank.cross_encoder.evaluation import CrossEncoderClassificationEvaluator
from mmrerank.cross_encoder.losses import BinaryCrossEntropyLoss, CrossEntropyLoss
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.errors import InputError, WrongArgument
from tests import checkpoints
from tests.training import _runs as runs

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_bert(tmp_path_factory.mktemp("trainer") / "bert")


@pytest.fixture
def model(bert: Path) -> Any:
    return runs.load(runs.OURS, bert)


def trainer_of(model: Any, tmp_path: Path, **options: Any) -> Any:
    """A trainer of two steps. options: of the arguments, or of the trainer."""
    named = {"train_dataset", "eval_dataset", "loss", "evaluator", "callbacks", "model_init"}
    own = {name: options.pop(name) for name in named & options.keys()}
    args = runs.arguments(runs.OURS, tmp_path, **{"max_steps": 2, **options})
    return CrossEncoderTrainer(model=model, args=args, **{"train_dataset": runs.pairs(8), **own})


# ------------------------------------------------------------ evaluation


def evaluator_of(kind: Any) -> Any:
    rows = runs.pairs(12)
    sides = [list(pair) for pair in zip(rows["query"], rows["document"], strict=True)]
    return kind(sides, [int(label) for label in rows["label"]], name="dev", show_progress_bar=False)


def test_losses_and_metrics_of_evaluations_are_those_of_the_peer(bert: Path, tmp_path: Path):
    logs = []
    for library, kind in (
        (runs.OURS, CrossEncoderClassificationEvaluator),
        (runs.PEER, PeerEvaluator),
    ):
        model = runs.load(library, bert)
        args = runs.arguments(
            library,
            tmp_path / library.args.__module__,
            max_steps=4,
            eval_strategy="steps",
            eval_steps=2,
        )
        trainer = library.trainer(
            model=model,
            args=args,
            train_dataset=runs.pairs(16),
            eval_dataset={"one": runs.pairs(8), "two": runs.pairs(12)},
            loss=library.losses.BinaryCrossEntropyLoss(model),
            evaluator=evaluator_of(kind),
        )
        trainer.train()
        timings = ("runtime", "per_second")
        logs.append(
            [
                {key: value for key, value in entry.items() if not key.endswith(timings)}
                for entry in trainer.state.log_history[:-1]
            ]
        )
    assert [list(entry) for entry in logs[0]] == [list(entry) for entry in logs[1]]
    for ours, theirs in zip(*logs, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert "eval_dev_f1" in logs[0][2]


def test_best_model_is_loaded_at_the_end(model: Any, tmp_path: Path):
    class Falling:
        primary_metric = "quality"
        kept: Any = None

        def __call__(self, model: Any, **_: Any) -> dict[str, float]:
            if self.kept is None:
                self.kept = copy.deepcopy(model.state_dict())
                return {"quality": 1.0}
            return {"quality": 0.0}

    evaluator = Falling()
    trainer = trainer_of(
        model,
        tmp_path,
        evaluator=evaluator,
        max_steps=3,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="eval_quality",
    )
    trainer.train()
    assert trainer.state.best_global_step == 1
    assert model.model_card_data.best_model_step == 1
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, evaluator.kept[name])


def test_evaluators_in_a_list_are_all_run(model: Any, tmp_path: Path):
    evaluators = [evaluator_of(CrossEncoderClassificationEvaluator) for _ in range(2)]
    evaluators[1].name = "test"
    metrics = trainer_of(model, tmp_path, evaluator=evaluators).evaluate()
    assert {"eval_dev_f1", "eval_test_f1"} <= metrics.keys()


def test_evaluation_of_datasets_given_to_it_uses_the_loss_of_each(model: Any, tmp_path: Path):
    both = {"pairs": runs.pairs(8), "other": runs.pairs(12)}
    losses = {name: BinaryCrossEntropyLoss(model) for name in both}
    trainer = trainer_of(model, tmp_path, train_dataset=both, loss=losses)
    metrics = trainer.evaluate(both)
    assert {"eval_pairs_loss", "eval_other_loss"} <= metrics.keys()


# ------------------------------------------------------------ models and losses


def test_loss_by_default_follows_the_number_of_labels(
    model: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    folder = checkpoints.build_bert_nli(tmp_path_factory.mktemp("nli") / "nli")
    classes = runs.pairs(8).remove_columns("label").add_column("label", [0, 1, 2, 0, 1, 2, 0, 1])
    three = trainer_of(runs.load(runs.OURS, folder), tmp_path, train_dataset=classes)
    assert isinstance(trainer_of(model, tmp_path).loss, BinaryCrossEntropyLoss)
    assert isinstance(three.loss, CrossEntropyLoss)
    three.train()
    assert three.state.global_step == 2


def test_model_init_makes_the_model_that_is_trained(bert: Path, tmp_path: Path):
    made: list[Any] = []

    def make() -> Any:
        made.append(runs.load(runs.OURS, bert))
        return made[-1]

    trainer = trainer_of(None, tmp_path, model_init=make, loss=BinaryCrossEntropyLoss, max_steps=5)
    trainer.train()
    assert trainer.model is made[-1]
    assert trainer.loss.model is made[-1]
    assert runs.worst_difference(made[-1], runs.load(runs.OURS, bert)) > 1e-4


def test_parameters_of_the_loss_itself_are_trained(model: Any, tmp_path: Path):
    class Scaled(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.inner = BinaryCrossEntropyLoss(model)
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, inputs: Any, labels: Any) -> Any:
            return self.inner(inputs, labels) * self.scale

    loss = Scaled(model)
    trainer_of(model, tmp_path, loss=loss, max_steps=5).train()
    assert loss.scale.item() != 1.0


def test_loss_that_keeps_the_model_out_of_sight_still_trains_it(model: Any, tmp_path: Path):
    class Hidden(torch.nn.Module):
        def forward(self, inputs: Any, labels: Any, **_: Any) -> Any:
            return BinaryCrossEntropyLoss(model)(inputs, labels)

    before = copy.deepcopy(model.state_dict())
    trainer_of(model, tmp_path, loss=Hidden(), max_steps=5).train()
    assert any(not torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_prompt_reaches_the_loss(model: Any, tmp_path: Path):
    seen = []

    class Noting(BinaryCrossEntropyLoss):
        def forward(
            self, inputs: Any, labels: Any, prompt: str | None = None, task: str | None = None
        ) -> Any:
            seen.append((prompt, task))
            return super().forward(inputs, labels, prompt=prompt, task=task)

    rows = {"first": runs.pairs(4), "second": runs.pairs(4)}
    options = {"prompts": {"first": "Judge:"}, "router_mapping": {"second": "rerank"}}
    trainer_of(model, tmp_path, train_dataset=rows, loss=Noting(model), **options).train()
    assert sorted(seen, key=str) == [("Judge:", None), (None, "rerank")]


def test_activation_checkpoints_change_no_weight(bert: Path, tmp_path: Path):
    loss = lambda losses, model: losses.BinaryCrossEntropyLoss(model)  # noqa: E731
    plain, saving = (
        runs.train(runs.OURS, bert, tmp_path / str(flag), runs.pairs(), loss, **flag)
        for flag in ({}, {"activation_checkpointing": True})
    )
    assert runs.worst_difference(plain.model, saving.model) <= 1e-6


# ------------------------------------------------------------ checkpoints


def test_checkpoint_is_loaded_by_both_libraries_with_equal_scores(model: Any, tmp_path: Path):
    trainer_of(model, tmp_path, save_strategy="steps", save_steps=2).train()
    saved = str(tmp_path / "checkpoint-2")
    pairs = [("What is known?", "The harbour."), ("Bread", "A clock")]
    expected = pytest.approx(model.predict(pairs), abs=1e-6)
    assert CrossEncoder(saved, device="cpu").predict(pairs) == expected
    assert runs.PEER.model(saved, device="cpu").predict(pairs) == expected


# ------------------------------------------------------------ what is refused


def test_labels_that_the_loss_cannot_learn_from_are_refused_before_the_first_step(
    model: Any, tmp_path: Path
):
    rows = runs.pairs(8).map(lambda row: {"label": row["label"] * 5})
    trainer = trainer_of(model, tmp_path, train_dataset=rows)
    with pytest.raises(InputError, match="scale_labels"):
        trainer.train()
    assert trainer.state.global_step == 0


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"train_dataset": [{"query": "x"}]}, WrongArgument, "train_dataset: give a datasets"),
        (
            {"train_dataset": runs.pairs(4).to_iterable_dataset()},
            WrongArgument,
            "does not support an IterableDataset",
        ),
        (
            {"train_dataset": runs.pairs(4).rename_column("query", "dataset_name")},
            InputError,
            r"columns named \['dataset_name'\]",
        ),
        ({"eval_strategy": "steps"}, InputError, "eval_strategy='steps' needs an eval_dataset"),
        ({"loss": {"first": BinaryCrossEntropyLoss}}, InputError, "train_dataset must be one too"),
        (
            {"loss": {"a": BinaryCrossEntropyLoss}, "train_dataset": {"b": runs.pairs(4)}},
            InputError,
            "give a loss for every dataset",
        ),
        ({"prompts": {"first": {"query": "x"}}}, InputError, "cannot be per-column"),
    ],
    ids=["rows", "stream", "reserved", "no data to evaluate", "dict", "missing", "by column"],
)
def test_arguments_that_do_not_fit_are_refused(
    options: dict[str, Any], kind: type[Exception], message: str, model: Any, tmp_path: Path
):
    with pytest.raises(kind, match=message) as caught:
        trainer_of(model, tmp_path, **options)
    assert isinstance(caught.value, ValueError)


def test_rate_for_names_that_no_parameter_has_is_refused(model: Any, tmp_path: Path):
    trainer = trainer_of(model, tmp_path, learning_rate_mapping={"no_such_layer": 1.0})
    with pytest.raises(InputError, match="no_such_layer"):
        trainer.train()


def test_model_must_be_a_cross_encoder(tmp_path: Path):
    with pytest.raises(WrongArgument, match="must be a CrossEncoder, not Linear"):
        trainer_of(torch.nn.Linear(1, 1), tmp_path)


def test_neither_model_nor_model_init_is_the_error_of_the_peer(tmp_path: Path):
    with pytest.raises(RuntimeError, match="needs a model"):
        trainer_of(None, tmp_path)


def test_tokenizer_is_the_old_name_of_processing_class(model: Any, tmp_path: Path):
    args = runs.arguments(runs.OURS, tmp_path)
    options: Any = {"tokenizer": model.tokenizer}
    with pytest.warns(FutureWarning, match="processing_class"):
        trainer = CrossEncoderTrainer(model=model, args=args, **options)
    assert trainer.processing_class is model.tokenizer


def test_prompts_for_a_dataset_that_is_not_there_are_announced(
    model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    trainer_of(model, tmp_path, prompts={"frist": "x"}, train_dataset={"first": runs.pairs(4)})
    assert "no dataset has the name ['frist']" in caplog.text


def test_datasets_of_the_caller_are_left_as_they_are(model: Any, tmp_path: Path):
    rows = DatasetDict({"first": runs.pairs(4)})
    loss = {"first": BinaryCrossEntropyLoss(model)}
    trainer_of(model, tmp_path, train_dataset=rows, loss=loss).train()
    assert list(rows["first"][0]) == ["query", "document", "label"]


def test_transform_of_a_dataset_is_kept_where_its_name_is_added(model: Any, tmp_path: Path):
    upper = runs.pairs(4).with_transform(
        lambda rows: {**rows, "query": [query.upper() for query in rows["query"]]}
    )
    seen: list[str] = []

    class Noting(BinaryCrossEntropyLoss):
        def forward(self, inputs: Any, labels: Any, *args: Any, **options: Any) -> Any:
            seen.extend(inputs[0])
            return super().forward(inputs, labels, *args, **options)

    trainer_of(
        model, tmp_path, train_dataset={"first": upper}, loss={"first": Noting(model)}
    ).train()
    assert seen
    assert all(query == query.upper() for query in seen)


def test_media_of_a_dataset_reach_the_loss_as_they_are(model: Any, tmp_path: Path):
    from PIL import Image

    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")] * 2
    rows = Dataset.from_dict({"query": ["x"] * 4, "image": pictures, "label": [0.0, 1.0] * 2})
    kinds: set[bool] = set()

    class Noting(torch.nn.Module):
        def forward(self, inputs: Any, labels: Any) -> Any:
            kinds.update(isinstance(value, Image.Image) for value in inputs[1])
            return sum(p.sum() * 0 for p in model.parameters())

    trainer_of(model, tmp_path, train_dataset=rows, loss=Noting()).train()
    assert kinds == {True}
