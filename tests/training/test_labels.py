"""Labels are checked before the first step, and can be brought to another scale."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mmrerank.errors import InputError, WrongArgument
from mmrerank.training import losses
from mmrerank.training.labels import check_labels, scale_labels

Columns = dict[str, list[Any]]


class TinyModel(nn.Module):
    """As much of a reranker as a loss's constructor asks for."""

    def __init__(self, num_labels: int = 1) -> None:
        super().__init__()
        self.num_labels = num_labels

    def preprocess(self, pairs: Any, **_: Any) -> dict[str, Any]:
        raise AssertionError("a check of labels scores nothing")


def pairs(labels: list[Any], **others: list[Any]) -> Columns:
    texts = [f"text {number}" for number in range(len(labels))]
    return {"query": texts, "document": texts, **others, "label": labels}


def lists(labels: list[Any], documents: list[Any]) -> Columns:
    return {"query": ["q"] * len(labels), "documents": documents, "labels": labels}


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def as_stream(columns: Columns) -> Any:
    return datasets.Dataset.from_dict(columns).to_iterable_dataset()


def as_transformed(columns: Columns) -> Any:
    made = datasets.Dataset.from_dict(columns)
    made.set_transform(lambda batch: {name: list(column) for name, column in batch.items()})
    return made


FORMS: dict[str, Callable[[Columns], Any]] = {
    "columns": dict,
    "rows": as_rows,
    "dataset": datasets.Dataset.from_dict,
    "numpy": lambda columns: datasets.Dataset.from_dict(columns).with_format("numpy"),
    "shuffled": lambda columns: datasets.Dataset.from_dict(columns).shuffle(seed=0),
    "stream": as_stream,
    "transform": as_transformed,
}

GOOD: list[tuple[str, Columns]] = [
    ("BinaryCrossEntropyLoss", pairs([0, 1, 1])),
    ("BinaryCrossEntropyLoss", pairs([0.0, 0.3, 1.0])),
    ("BinaryCrossEntropyLoss", pairs([True, False])),
    ("BinaryCrossEntropyLoss", pairs([[1.0], [0.0]])),
    ("CrossEntropyLoss", pairs([0, 2, -100])),
    ("CrossEntropyLoss", pairs([[0.1, 0.9, 0.0], [1.0, 0.0, 0.0]])),
    ("MSELoss", pairs([-7.5, 12.0])),
    ("MarginMSELoss", pairs([1.5, -2.0], negative=["a", "b"])),
    ("MarginMSELoss", pairs([[5.0, 1.0]], negative=["a"])),
    ("MarginMSELoss", pairs([[4.0, 1.0]], negative=["a"], other=["b"])),
    ("ListNetLoss", lists([[1.0, 0.0], [2.0]], [["a", "b"], ["c"]])),
    ("DistillKLLoss", pairs([[1.0, 0.0, -3.0]], other=["a"], third=["b"])),
    ("MultipleNegativesRankingLoss", {"anchor": ["a"], "positive": ["b"]}),
    ("MultipleNegativesRankingLoss", {"anchor": ["a"], "positive": ["b"], "label": ["x"]}),
]

BAD: list[tuple[str, Columns, str]] = [
    (
        "BinaryCrossEntropyLoss",
        pairs([0.0, 5.0, 2.5]),
        r"\['label'\]: BinaryCrossEntropyLoss wants numbers from 0 to 1, found numbers from 0 to 5;"
        r".*scale_labels\(dataset, to=\(0, 1\)\)",
    ),
    ("BinaryCrossEntropyLoss", pairs([1.0, -1.0]), "found numbers from -1 to 1"),
    ("BinaryCrossEntropyLoss", pairs([1.0, float("nan")]), "row .: .* wants finite numbers, .*nan"),
    ("BinaryCrossEntropyLoss", pairs([1.0, None]), "wants finite numbers, found None"),
    ("BinaryCrossEntropyLoss", pairs(["yes", "no"]), "wants finite numbers, found '(yes|no)'"),
    ("BinaryCrossEntropyLoss", pairs([0, 1], extra=["a", "b"]), "two non-label columns.* 3 col"),
    ("BinaryCrossEntropyLoss", {"query": ["a"], "document": ["b"]}, "no column named one of label"),
    ("CrossEntropyLoss", pairs([0, 3]), "integers from 0 to 2, .*found 0 to 3.*num_labels=4"),
    ("CrossEntropyLoss", pairs([-1, 2]), "found -1 to 2. Number the classes from 0"),
    ("CrossEntropyLoss", pairs([1.0, 2.0]), "wants integers, found 1.0|wants integers, found 2.0"),
    ("CrossEntropyLoss", pairs([[0.5, 0.5]]), "2 probabilities for 3 labels"),
    ("MSELoss", pairs([1.0, float("inf")]), "wants finite numbers, found inf"),
    ("MarginMSELoss", pairs([[1.0, 2.0, 3.0]], negative=["a"]), "3 numbers; .* 1 margins .* 2 sco"),
    ("MarginMSELoss", pairs([1.0]), "at least 3 non-label columns"),
    (
        "ListNetLoss",
        lists([[1.0, 0.0], [2.0, 1.0]], [["a", "b"], ["c"]]),
        r"\['labels'\], row .: 2 labels for 1 documents",
    ),
    ("ListNetLoss", lists([1.0], [["a"]]), "wants a list of a number for each document"),
    ("ListNetLoss", lists([[1.0]], ["text"]), "wants lists of documents in the second column"),
    ("ListMLELoss", lists([[None]], [["a"]]), "wants finite numbers, found None"),
    ("LambdaLoss", lists([[200.0]], [["a"]]), "numbers to 100, found numbers from 200 to 200"),
    ("DistillKLLoss", pairs([[1.0]]), "wants lists of documents in the second column"),
]


def made(name: str) -> nn.Module:
    loss: nn.Module = getattr(losses, name)(TinyModel(3 if name == "CrossEntropyLoss" else 1))
    return loss


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "columns"), GOOD)
def test_labels_that_a_loss_wants_pass(name: str, columns: Columns, form: str) -> None:
    check_labels(made(name), FORMS[form](columns))
    check_labels(name, FORMS[form](columns), num_labels=3)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "columns", "match"), BAD)
def test_labels_that_mean_nothing_to_a_loss_are_refused(
    name: str, columns: Columns, match: str, form: str
) -> None:
    if form == "numpy" and None in columns.get("label", []):
        match = "wants finite numbers"  # numpy has no None among numbers
    with pytest.raises(InputError, match=match):
        check_labels(made(name), FORMS[form](columns))
    with pytest.raises(ValueError, match=match):
        check_labels(name, FORMS[form](columns), num_labels=3)


def test_message_names_the_dataset() -> None:
    with pytest.raises(InputError, match=r"^train_dataset\['label'\]: "):
        check_labels("BinaryCrossEntropyLoss", pairs([3]), name="train_dataset")


def test_each_dataset_of_a_dict_is_checked_with_its_loss() -> None:
    parts = {"stars": pairs([0.0, 5.0]), "clicks": pairs([0, 1])}
    good = {"stars": made("MSELoss"), "clicks": made("BinaryCrossEntropyLoss")}
    check_labels(good, parts)
    check_labels(good, datasets.DatasetDict({k: FORMS["dataset"](v) for k, v in parts.items()}))
    with pytest.raises(InputError, match=r"dataset\['stars'\]\['label'\]: Binary.* from 0 to 5"):
        check_labels(made("BinaryCrossEntropyLoss"), parts)


def test_dataset_that_no_loss_is_named_for_is_left_to_the_trainer() -> None:
    check_labels({"clicks": made("BinaryCrossEntropyLoss")}, {"stars": pairs([0.0, 5.0])})


def test_num_labels_are_those_of_each_losss_model() -> None:
    by_name = {
        "two": losses.CrossEntropyLoss(TinyModel(2)),
        "four": losses.CrossEntropyLoss(TinyModel(4)),
    }
    check_labels(by_name, {"two": pairs([0, 1]), "four": pairs([0, 3])})


def test_loss_of_somebody_else_is_not_checked() -> None:
    check_labels(nn.MSELoss(), pairs([float("nan")]))


def test_unknown_name_of_a_loss_is_refused_with_the_near_one() -> None:
    with pytest.raises(InputError, match="did you mean 'ListNetLoss'"):
        check_labels("ListNetLos", pairs([1]))
    with pytest.raises(InputError, match="no loss named 'NoWeightingScheme'; known are ADRMSELoss"):
        check_labels("NoWeightingScheme", pairs([1]))


@pytest.mark.parametrize("thing", [7, "text", [1, 2], iter([{"label": 1}])])
def test_what_is_no_dataset_is_refused(thing: Any) -> None:
    with pytest.raises(WrongArgument, match=r"dataset must be a datasets\.Dataset"):
        check_labels("MSELoss", thing)


def test_empty_dataset_with_the_right_columns_passes() -> None:
    check_labels("BinaryCrossEntropyLoss", FORMS["dataset"](pairs([])))


def test_own_name_of_the_label_column_is_taken() -> None:
    columns = {"query": ["q"], "document": ["d"], "stars": [5]}
    with pytest.raises(InputError, match=r"\['stars'\]: .* found numbers from 5 to 5"):
        check_labels("BinaryCrossEntropyLoss", columns, label_columns=["stars"])


def test_ignored_class_is_that_of_the_loss() -> None:
    check_labels(losses.CrossEntropyLoss(TinyModel(3), ignore_index=9), pairs([0, 9, 2]))
    with pytest.raises(InputError, match="found -100 to 2"):
        check_labels(losses.CrossEntropyLoss(TinyModel(3), ignore_index=9), pairs([-100, 2]))


def test_lists_that_must_be_in_order_and_are_not_are_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    columns = lists([[0.0, 1.0], [1.0, 2.0]], [["a", "b"], ["c", "d"]])
    check_labels(losses.ListMLELoss(TinyModel()), columns)
    (record,) = caplog.records
    assert "row 0" in record.message
    assert "respect_input_order=False" in record.message
    caplog.clear()
    check_labels(losses.ListMLELoss(TinyModel(), respect_input_order=False), columns)
    check_labels(losses.ListMLELoss(TinyModel()), lists([[2.0, 1.0, 1.0]], [["a", "b", "c"]]))
    assert not caplog.records


def test_pictures_are_not_decoded_to_check_labels() -> None:
    broken = {"bytes": b"no picture", "path": None}
    columns = lists([[1.0, 0.0]], [[broken, broken]])
    features = datasets.Features(
        {
            "query": datasets.Value("string"),
            "documents": datasets.List(datasets.Image()),
            "labels": datasets.List(datasets.Value("float64")),
        }
    )
    check_labels("ListNetLoss", datasets.Dataset.from_dict(columns, features=features))


# ------------------------------------------------------------ scale_labels


@pytest.mark.parametrize("form", ["columns", "rows", "dataset", "numpy", "shuffled"])
def test_scaled_labels_pass_the_check_and_keep_the_rest(form: str) -> None:
    given = FORMS[form](pairs([0, 5, 2.5]))
    scaled = scale_labels(given)
    check_labels("BinaryCrossEntropyLoss", scaled)
    assert sorted(_column(scaled, "label")) == [0.0, 0.5, 1.0]
    assert list(_column(scaled, "query")) == list(_column(given, "query"))
    assert sorted(_column(given, "label")) == [0, 2.5, 5]
    assert list(_row(scaled)) == ["query", "document", "label"]


def test_scale_is_the_one_that_is_named() -> None:
    scaled = scale_labels(pairs([1, 3]), to=(-1, 1), of=(1, 5))
    assert scaled["label"] == [-1.0, 0.0]


def test_ends_of_the_scale_come_out_exactly() -> None:
    scaled = scale_labels(pairs([0.1, 0.7]), to=(0.0, 1.0))
    assert scaled["label"] == [0.0, 1.0]


def test_stream_is_scaled_as_it_is_read() -> None:
    scaled = scale_labels(as_stream(pairs([0, 5])), of=(0, 5))
    assert [row["label"] for row in scaled] == [0.0, 1.0]
    with pytest.raises(InputError, match="of a stream needs the ends of the scale"):
        scale_labels(as_stream(pairs([0, 5])))


def test_lists_of_labels_are_scaled_item_by_item() -> None:
    columns = lists([[4.0, 0.0], [2.0]], [["a", "b"], ["c"]])
    for form in ("columns", "dataset"):
        assert list(_column(scale_labels(FORMS[form](columns)), "labels")) == [[1.0, 0.0], [0.5]]


def test_datasets_of_a_dict_are_scaled_alike() -> None:
    parts = datasets.DatasetDict(
        {"a": FORMS["dataset"](pairs([0, 2])), "b": FORMS["dataset"](pairs([1, 4]))}
    )
    scaled = scale_labels(parts)
    assert isinstance(scaled, datasets.DatasetDict)
    assert list(scaled["a"]["label"]) == [0.0, 0.5]
    assert list(scaled["b"]["label"]) == [0.25, 1.0]


def test_pictures_stay_as_they_are_when_labels_are_scaled() -> None:
    data = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(data, "PNG")
    columns = {"query": ["q"] * 2, "image": [{"bytes": data.getvalue(), "path": None}] * 2}
    made = datasets.Dataset.from_dict({**columns, "label": [0, 5]})
    scaled = scale_labels(made.cast_column("image", datasets.Image()))
    assert scaled.features["image"] == datasets.Image()
    assert scaled[0]["image"].getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("columns", "options", "match"),
    [
        (pairs([2, 2]), {}, "cannot scale from 2 to 2"),
        (pairs([1, 2]), {"of": (5, 0)}, "cannot scale from 5 to 0"),
        (pairs([float("nan"), 1]), {}, "no finite numbers"),
        (pairs(["good"]), {}, "a label is 'good', which is no number"),
        (pairs([]), {}, "no labels to find the scale of"),
        ({"query": ["q"]}, {}, "found no column label or labels or score or scores"),
        (pairs([1]), {"column": "stars"}, "found no column stars"),
    ],
)
def test_labels_that_cannot_be_scaled_are_refused(
    columns: Columns, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        scale_labels(columns, **options)


def test_tensors_and_arrays_are_numbers() -> None:
    check_labels("BinaryCrossEntropyLoss", pairs([torch.tensor(1.0), np.float32(0.5)]))
    assert scale_labels(pairs([np.int64(0), np.int64(4)]))["label"] == [0.0, 1.0]
    with pytest.raises(InputError, match="found numbers from 0 to 4"):
        check_labels("BinaryCrossEntropyLoss", pairs([torch.tensor(0), torch.tensor(4)]))


def _column(dataset: Any, name: str) -> list[Any]:
    if isinstance(dataset, list):
        return [row[name] for row in dataset]
    return list(dataset[name])


def _row(dataset: Any) -> dict[str, Any]:
    row: dict[str, Any] = dataset if isinstance(dataset, dict) else dataset[0]
    return row
