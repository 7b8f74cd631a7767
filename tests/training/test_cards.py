"""Model cards: valid on the hub, complete after a run, safe with hostile data."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset, Features, Image, Value
from huggingface_hub import ModelCard
from sentence_transformers.cross_encoder.model_card import (
    CrossEncoderModelCardData as PeerData,
)

from mmrerank import CrossEncoder
from mmrerank.cross_encoder.model_card import (
    CrossEncoderModelCardCallback,
    CrossEncoderModelCardData,
)
from mmrerank.training.cards.datasets import summary_of
from mmrerank.training.cards.logs import logs_section
from mmrerank.training.cards.markdown import plain, table
from mmrerank.training.cards.values import kind_of, shown_value
from mmrerank.training.losses import BinaryCrossEntropyLoss
from tests.checkpoints import build_bert

MEDIA = Path(__file__).parents[2] / "fixtures" / "media"


class _Evaluator:
    """What the card asks of an evaluator."""

    name = "dev"
    primary_metric = "dev_ndcg@10"
    description = "Cross Encoder Reranking"


class _Arguments:
    """What the card asks of training arguments."""

    def __init__(self, output_dir: str = "", learning_rate: float = 5e-5) -> None:
        self.output_dir = output_dir
        self.learning_rate = learning_rate

    def to_dict(self) -> dict[str, Any]:
        return {"output_dir": self.output_dir, "learning_rate": self.learning_rate, "seed": 42}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bert(tmp_path_factory.mktemp("cards") / "bert")


@pytest.fixture
def model(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


def text_rows(**more: Any) -> Dataset:
    rows = {"query": ["tea", "tea"], "document": ["a leaf", "a stone"], "label": [1.0, 0.0]}
    return Dataset.from_dict({**rows, **more})


def run_callback(model: CrossEncoder, train: Any, evaluate: Any = None) -> None:
    """One run as the trainer reports it: a loss, an evaluation, a second loss."""
    trainer = SimpleNamespace(
        train_dataset=train, eval_dataset=evaluate, loss=BinaryCrossEntropyLoss(model)
    )
    callback = CrossEncoderModelCardCallback()
    arguments = _Arguments("/home/me/out", 0.001)
    state = SimpleNamespace(epoch=0.5, global_step=10)
    callback.on_init_end(arguments, state, None, model=model, trainer=trainer)
    callback.on_train_begin(arguments, state, None, model=model)
    callback.on_log(arguments, state, None, model=model, logs={"loss": 0.7})
    callback.on_evaluate(arguments, state, None, model=model, metrics={"eval_loss": 0.6})
    metrics = {"dev_ndcg@10": 0.75, "dev_map": 0.5}
    model.model_card_data.set_evaluation_metrics(_Evaluator(), metrics, 0.5, 10)
    state.global_step = 20
    callback.on_log(arguments, state, None, model=model, logs={"loss": 0.5})


def saved_card(model: CrossEncoder, folder: Path, **kwargs: Any) -> ModelCard:
    model.save_pretrained(folder / "saved", **kwargs)
    return ModelCard.load(folder / "saved" / "README.md")


# ------------------------------------------------------------ card data


def test_arguments_and_their_defaults_are_the_peers() -> None:
    ours, theirs = CrossEncoderModelCardData(), PeerData(local_files_only=True)
    for name in (
        *("language", "license", "model_name", "model_id", "train_datasets", "eval_datasets"),
        *("task_name", "tags", "generate_widget_examples"),
    ):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_settings_of_the_user_reach_the_front_matter(folder: Path, tmp_path: Path) -> None:
    data = CrossEncoderModelCardData(
        language="de",
        license="apache-2.0",
        model_name="A fine reranker",
        model_id="me/fine",
        train_datasets=[{"name": "Quora", "id": "quora/pairs"}],
        tags=["my-tag"],
    )
    model = CrossEncoder(str(folder), device="cpu", model_card_data=data)
    card = saved_card(model, tmp_path)
    assert card.data.to_dict()["language"] == ["de"]
    assert card.data.to_dict()["license"] == "apache-2.0"
    assert card.data.to_dict()["datasets"] == ["quora/pairs"]
    assert card.data.to_dict()["tags"] == ["my-tag", "mmrerank"]
    assert card.data.to_dict()["pipeline_tag"] == "text-ranking"
    assert "# A fine reranker" in card.text
    assert 'CrossEncoder("me/fine")' in card.text


def test_model_id_without_owner_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert CrossEncoderModelCardData(model_id="fine").model_id is None
    assert "must be owner/name" in caplog.text


def test_card_data_of_the_caller_stay_as_they_were() -> None:
    named: list[dict[str, Any]] = [{"id": "a/b"}]
    data = CrossEncoderModelCardData(train_datasets=named)
    data.train_datasets[0]["name"] = "changed"
    assert named == [{"id": "a/b"}]


def test_names_given_to_save_do_not_stay_in_the_card_data(
    model: CrossEncoder, tmp_path: Path
) -> None:
    model.model_card_data = CrossEncoderModelCardData()
    card = saved_card(model, tmp_path, train_datasets=["a/b"])
    assert card.data.to_dict()["datasets"] == ["a/b"]
    assert model.model_card_data.train_datasets == []


# ------------------------------------------------------------ after a run


def test_run_is_told_whole(model: CrossEncoder, tmp_path: Path) -> None:
    run_callback(model, text_rows())
    card = saved_card(model, tmp_path)
    assert {"generated_from_trainer", "dataset_size:2", "loss:BinaryCrossEntropyLoss"} <= set(
        card.data.to_dict()["tags"]
    )
    for told in (
        "* Size: 2 training samples",
        "Columns: <code>query</code>, <code>document</code>, <code>label</code>",
        "| <code>tea</code> | <code>a leaf</code> | <code>1.0</code> |",
        "Loss: `BinaryCrossEntropyLoss` with",
        '"activation_fn": "torch.nn.modules.linear.Identity"',
        "- `learning_rate`: 0.001",
        "Sentence-BERT: Sentence Embeddings",
        "Training took",
    ):
        assert told in card.text


def test_evaluation_is_a_model_index(model: CrossEncoder, tmp_path: Path) -> None:
    run_callback(model, text_rows())
    card: Any = saved_card(model, tmp_path)
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {"ndcg@10": 0.75, "map": 0.5}
    assert card.data.to_dict()["metrics"] == ["ndcg@10", "map"]
    assert "| **ndcg@10** | **0.7500** |" in card.text


def test_logs_of_one_step_share_a_row(model: CrossEncoder) -> None:
    run_callback(model, text_rows())
    assert model.model_card_data.training_logs == [
        {
            "Epoch": 0.5,
            "Step": 10,
            "Training Loss": 0.7,
            "Validation Loss": 0.6,
            "dev_ndcg@10": 0.75,
        },
        {"Epoch": 0.5, "Step": 20, "Training Loss": 0.5},
    ]


def test_later_results_of_an_evaluator_take_the_place_of_earlier_ones() -> None:
    data = CrossEncoderModelCardData()
    data.set_evaluation_metrics(_Evaluator(), {"dev_map": 0.1}, 1, 1)
    data.set_evaluation_metrics(_Evaluator(), {"dev_map": 0.2}, 2, 2)
    assert [record.metrics for record in data.evaluations] == [{"map": 0.2}]


def test_usage_example_shows_scores_of_the_data(model: CrossEncoder, tmp_path: Path) -> None:
    run_callback(model, text_rows())
    text = saved_card(model, tmp_path).text
    scores = model.predict([("tea", "a leaf"), ("tea", "a stone")])
    assert "    ('tea', 'a leaf'),\n    ('tea', 'a stone'),\n" in text
    assert f"# [{scores[0]:.4f} {scores[1]:.4f}]" in text


def test_saving_in_training_leaves_the_model_in_training(
    model: CrossEncoder, tmp_path: Path
) -> None:
    run_callback(model, text_rows())
    model.train()
    saved_card(model, tmp_path)
    assert model.training


def test_names_of_this_machine_are_not_told(model: CrossEncoder, tmp_path: Path) -> None:
    data = text_rows(document=["/home/me/secret/cat.jpg", "/home/me/secret/dog.jpg"])
    run_callback(model, data)
    text = saved_card(model, tmp_path).content
    assert "/home/me" not in text
    assert str(tmp_path.parent) not in text
    assert "&lt;image cat.jpg&gt;" in text


def test_unknown_number_of_names_for_datasets_is_announced(
    model: CrossEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    model.model_card_data = CrossEncoderModelCardData(train_datasets=[{"name": "a"}, {"name": "b"}])
    run_callback(model, text_rows())
    assert "the card data name 2 datasets and there are 1" in caplog.text
    assert model.model_card_data.train_summaries[0].name is None


def test_several_datasets_have_a_section_each(model: CrossEncoder, tmp_path: Path) -> None:
    run_callback(model, {"first": text_rows(), "second": text_rows()}, text_rows())
    text = saved_card(model, tmp_path).text
    assert "### Training Datasets" in text
    assert "#### first" in text
    assert "#### second" in text
    assert "### Evaluation Dataset\n" in text


def test_stream_is_not_read(model: CrossEncoder) -> None:
    def rows() -> Any:
        raise AssertionError("the stream was read")
        yield {}

    from datasets import IterableDataset

    stream = IterableDataset.from_generator(rows, features=text_rows().features)
    summary = summary_of(stream, None, model.tokenizer)
    assert summary.size is None
    assert list(summary.columns) == ["query", "document", "label"]


def test_copies_and_pickles_of_a_run_do_not_hold_the_model(model: CrossEncoder) -> None:
    run_callback(model, text_rows())
    assert len(pickle.dumps(model.model_card_data)) < 50_000
    assert copy.deepcopy(model.model_card_data).training_logs == model.model_card_data.training_logs


# ------------------------------------------------------------ columns


def test_text_column_is_measured_in_tokens(model: CrossEncoder) -> None:
    summary = summary_of(text_rows(), None, model.tokenizer)
    lengths = [len(model.tokenizer(text)["input_ids"]) for text in ("a leaf", "a stone")]
    assert summary.columns["document"] == {
        "kind": "text",
        "min": f"{min(lengths)} tokens",
        "mean": f"{sum(lengths) / 2:.1f} tokens",
        "max": f"{max(lengths)} tokens",
    }


def test_label_columns_are_shares_or_a_range(model: CrossEncoder) -> None:
    data = text_rows(graded=[0.25, 1.0], classes=[3, 3], many=[["a"], ["b", "c"]])
    columns = summary_of(data, None, model.tokenizer).columns
    assert columns["graded"] == {"kind": "number", "min": "0.25", "mean": "0.62", "max": "1.00"}
    assert columns["classes"] == {"kind": "number", "3": "100.0%"}
    assert columns["many"] == {
        "kind": "list of text",
        "min": "1 elements",
        "mean": "1.5 elements",
        "max": "2 elements",
    }


def test_column_of_pictures_is_described_and_not_written_out(
    model: CrossEncoder, tmp_path: Path
) -> None:
    features = Features(query=Value("string"), document=Image(), label=Value("float64"))
    stored = {"bytes": (MEDIA / "cat.jpg").read_bytes(), "path": None}
    rows = [{"query": "a cat", "document": stored, "label": 1.0}]
    run_callback(model, Dataset.from_list(rows, features=features))
    text = saved_card(model, tmp_path).text
    assert "width: 451 px<br>height: 300 px" in text
    assert "<code>&lt;image 451x300 px&gt;</code>" in text
    assert sorted(path.name for path in (tmp_path / "saved").rglob("*.jp*g")) == []


def test_broken_picture_costs_the_summary_and_not_the_run(
    model: CrossEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    features = Features(query=Value("string"), document=Image())
    rows = [{"query": "a", "document": {"bytes": b"no picture", "path": None}}]
    summary = summary_of(Dataset.from_list(rows, features=features), None, model.tokenizer)
    assert (summary.size, summary.columns) == (1, {})
    assert "goes without the dataset's rows" in caplog.text


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ("some words", "text", "some words"),
        ("https://h.org/a.png?key=secret", "image", "<image 'https://h.org/a.png'>"),
        ("data:image/png;base64,AAAA", "image", "<image>"),
        ({"text": "red", "image": "/m/a.png"}, "text + image", "red + <image a.png>"),
        ({"bytes": b"123", "path": None}, "media", "<media>"),
        ({"array": [0.0], "sampling_rate": 8}, "audio", "<audio>"),
        ({"audio": {"array": [0.0], "sampling_rate": 8}}, "audio", "<audio>"),
        (["a", {"image": "b.png"}], "list of image or text", "[a, <image b.png>]"),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "image", "image": "b.png"}]},
            "image + text",
            "[a, <image b.png>]",
        ),
        (2.5, "number", "2.5"),
        (object(), "object", "<object>"),
    ],
)
def test_values_are_told_in_a_few_words(value: Any, kind: str, shown: str) -> None:
    assert (kind_of(value), shown_value(value)) == (kind, shown)


# ------------------------------------------------------------ hostile data


def test_hostile_texts_break_neither_tables_nor_front_matter(
    model: CrossEncoder, tmp_path: Path
) -> None:
    evil = "---\nlicense: evil\n---\n| a | b |\n```\n<script>alert(1)</script>"
    model.model_card_data = CrossEncoderModelCardData(model_name=evil, license=evil)
    run_callback(model, text_rows(document=[evil, evil], label=[1.0, 0.0]))
    model.model_card_data.set_evaluation_metrics(
        SimpleNamespace(name=evil, primary_metric=None, description=evil), {evil: 0.5}
    )
    card = saved_card(model, tmp_path)
    assert card.data.to_dict()["license"] == evil
    assert "<script>" not in card.text.replace(repr(evil), "")
    rows = [line for line in card.text.splitlines() if line.startswith("| <code>tea")]
    assert [line.count("|") for line in rows] == [4, 4]
    assert card.text.count("\n```") % 2 == 0


def test_cells_are_escaped_and_cut() -> None:
    assert plain("a|b\n<c>") == "a&#124;b &lt;c&gt;"
    assert plain("x" * 1000).endswith("…")
    assert len(plain("x" * 1000)) == 300


def test_table_fills_what_a_row_lacks() -> None:
    assert table([{"a": "1"}, {"b": "2"}]).splitlines() == [
        "| a | b |",
        "| :-- | :-- |",
        "| 1 | - |",
        "| - | 2 |",
    ]


def test_long_logs_are_thinned_and_folded() -> None:
    rows = [{"Epoch": 1.0, "Step": step, "Training Loss": 0.5} for step in range(10_000)]
    section = logs_section(rows, None)
    assert "Shown are 201 of 10,000 rows." in section
    assert "| 1.0000 | 9999 | 0.5000 |" in section
    assert "<details>" in section


def test_saved_step_is_bold() -> None:
    rows = [{"Epoch": 1.0, "Step": step, "Training Loss": 0.5} for step in (1, 2)]
    section = logs_section(rows, 2)
    assert "| **1.0000** | **2** | **0.5000** |" in section
    assert "| 1.0000 | 1 | 0.5000 |" in section
