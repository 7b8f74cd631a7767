"""Training data from files: forms, relative paths, media columns, bad lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, Dataset, Features, Image, Value, Video

from mmrerank import CrossEncoder
from mmrerank.errors import InputError
from mmrerank.training.data import (
    as_lists,
    as_loss_wants,
    as_pairs,
    as_tuples,
    form_of,
    judged_pairs,
    read_training_data,
)
from mmrerank.training.losses import BinaryCrossEntropyLoss, LambdaLoss, MarginMSELoss
from mmrerank.training.losses import MultipleNegativesRankingLoss as MNRLoss

MEDIA = Path(__file__).parents[2] / "fixtures" / "media"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(*rows: Any, name: str = "train.jsonl") -> Path:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return _write


@pytest.fixture(scope="module")
def omni() -> CrossEncoder:
    return CrossEncoder(device="cpu")


# ------------------------------------------------------------ forms


def test_pairs_keep_texts_and_whole_labels(write: Write) -> None:
    path = write(
        {"query": "tea", "document": "a leaf", "label": 1},
        "",
        {"query": "tea", "document": "a stone", "label": 0},
    )
    data = read_training_data(path)
    assert data[:] == {
        "query": ["tea", "tea"],
        "document": ["a leaf", "a stone"],
        "label": [1, 0],
    }


def test_score_is_another_name_for_the_label(write: Write) -> None:
    data = read_training_data(write({"query": "a", "document": "b", "score": 0.25}))
    assert data[0] == {"query": "a", "document": "b", "label": 0.25}


def test_tuples_keep_one_column_a_negative(write: Write) -> None:
    path = write({"query": "a", "negative_1": "d", "positive": "b", "negative": "c"})
    data = read_training_data(path)
    assert data.column_names[0] == "query"
    assert data[0] == {"query": "a", "positive": "b", "negative": "c", "negative_1": "d"}


def test_lists_of_positives_and_negatives_become_documents_with_labels(write: Write) -> None:
    path = write(
        {"query": "a", "positive": ["b"], "negative": ["c", "d"]},
        {"query": "e", "positive": "f", "negative": ["g"]},
    )
    data = read_training_data(path)
    assert data[0] == {"query": "a", "documents": ["b", "c", "d"], "labels": [1, 0, 0]}
    assert data[1] == {"query": "e", "documents": ["f", "g"], "labels": [1, 0]}


def test_csv_gives_the_same_as_jsonl(write: Write) -> None:
    path = write("query,document,label", 'tea,"a leaf, green",1', "tea,x.png,0", name="t.csv")
    data = read_training_data(path)
    assert data["document"][:] == ["a leaf, green", {"image": str(path.parent / "x.png")}]
    assert data["label"][:] == [1, 0]


def test_parquet_text_columns_are_read_as_jsonl_is(tmp_path: Path) -> None:
    rows = {"query": ["a", "b"], "document": ["x.png", "a text"], "label": [1.0, 0.0]}
    Dataset.from_dict(rows).to_parquet(tmp_path / "train.parquet")
    data = read_training_data(tmp_path / "train.parquet")
    assert data["document"][:] == [{"image": str(tmp_path / "x.png")}, "a text"]
    assert data["label"][:] == [1.0, 0.0]


def test_folder_is_read_by_the_file_in_it(write: Write, tmp_path: Path) -> None:
    write({"query": "a", "document": "b", "label": 1})
    assert read_training_data(tmp_path)[0]["document"] == "b"


def test_saved_dataset_is_loaded(tmp_path: Path) -> None:
    rows = {"query": ["a"], "positive": ["b"], "negative": ["c"]}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    assert read_training_data(tmp_path / "saved")[0] == {
        "query": "a",
        "positive": "b",
        "negative": "c",
    }


# ------------------------------------------------------------ media


def test_relative_paths_start_from_the_folder_of_the_file(write: Write) -> None:
    path = write(
        {"query": "a.png", "document": {"text": "x", "image": "sub/b.jpg"}, "label": 1},
        {"query": {"audio": "c.wav"}, "document": "http://h/d.png", "label": 0},
    )
    data, folder = read_training_data(path), path.parent
    assert data[0]["query"] == {"image": str(folder / "a.png")}
    assert data[0]["document"] == {"text": "x", "image": str(folder / "sub" / "b.jpg")}
    assert data[1]["query"] == {"audio": str(folder / "c.wav")}
    assert data[1]["document"] == {"image": "http://h/d.png"}


def test_pages_frames_and_mixed_orders_survive(write: Write) -> None:
    documents = [
        {"pdf": "a.pdf", "page": 2},
        {"video": ["1.png", "2.png"]},
        {"content": [{"text": "a"}, {"image": "b.png"}, {"text": "c"}]},
        {"text": "cat.png"},
    ]
    path = write({"query": "q", "documents": documents, "labels": [1, 0, 0, 0]})
    folder = path.parent
    assert read_training_data(path)[0]["documents"] == [
        {"image": {"pdf": str(folder / "a.pdf"), "page": 2}},
        {"video": [[str(folder / "1.png"), str(folder / "2.png")]]},
        {
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "image": str(folder / "b.png")},
                {"type": "text", "text": "c"},
            ]
        },
        {"text": "cat.png"},
    ]


def test_base64_is_kept_as_a_data_uri(write: Write, omni: CrossEncoder) -> None:
    import base64

    text = base64.b64encode((MEDIA / "cat.jpg").read_bytes()).decode()
    path = write({"query": "a cat", "document": {"image": text}, "label": 1})
    document = read_training_data(path)[0]["document"]
    assert document["image"].startswith("data:application/octet-stream;base64,")
    assert omni.predict([("a cat", document)]) == pytest.approx(
        omni.predict([("a cat", MEDIA / "cat.jpg")])
    )


def test_rows_of_a_file_score_as_the_paths_do(write: Write, omni: CrossEncoder) -> None:
    path = write({"query": "a cat", "document": "cat.jpg", "label": 1})
    (path.parent / "cat.jpg").write_bytes((MEDIA / "cat.jpg").read_bytes())
    row = read_training_data(path)[0]
    assert omni.predict([(row["query"], row["document"])]) == pytest.approx(
        omni.predict([("a cat", str(MEDIA / "cat.jpg"))])
    )


@pytest.mark.parametrize(
    ("feature", "name"), [(Image(), "cat.jpg"), (Audio(), "coins_drop.wav"), (Video(), "bunny.mp4")]
)
@pytest.mark.parametrize("decode", [True, False])
def test_column_of_a_media_feature_scores_as_its_path(
    feature: Any, name: str, decode: bool, omni: CrossEncoder
) -> None:
    feature.decode = decode
    data = Dataset.from_dict({"document": [str(MEDIA / name)]}).cast_column("document", feature)
    assert omni.predict([("a cat", data[0]["document"])]) == pytest.approx(
        omni.predict([("a cat", str(MEDIA / name))]), abs=1e-5
    )


def test_struct_of_media_features_is_a_mixed_document(omni: CrossEncoder) -> None:
    features = Features(d={"text": Value("string"), "image": Image(), "audio": Audio()})
    row = {"d": {"text": "furry", "image": str(MEDIA / "cat.jpg"), "audio": None}}
    data = Dataset.from_list([row], features=features)
    assert omni.predict([("a cat", data[0]["d"])]) == pytest.approx(
        omni.predict([("a cat", {"text": "furry", "image": str(MEDIA / "cat.jpg")})]), abs=1e-5
    )


def test_media_stored_in_parquet_come_undecoded(tmp_path: Path, omni: CrossEncoder) -> None:
    stored = {"bytes": (MEDIA / "cat.jpg").read_bytes(), "path": None}
    features = Features(query=Value("string"), document=Image(), label=Value("float64"))
    rows = [{"query": "a cat", "document": stored, "label": 1.0}]
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "train.parquet")
    row = read_training_data(tmp_path / "train.parquet")[0]
    assert row["document"] == stored
    assert omni.predict([("a cat", row["document"])]) == pytest.approx(
        omni.predict([("a cat", str(MEDIA / "cat.jpg"))]), abs=1e-5
    )


# ------------------------------------------------------------ other forms


def test_lists_become_pairs(write: Write) -> None:
    data = read_training_data(write({"query": "a", "positive": ["b"], "negative": ["c"]}))
    assert form_of(data) == "lists"
    assert as_pairs(data)[:] == {"query": ["a", "a"], "document": ["b", "c"], "label": [1, 0]}


def test_tuples_become_pairs_and_lists(write: Write) -> None:
    path = write(
        {"query": "a", "positive": "b", "negative": "c"},
        {"query": "d", "positive": "e", "negative": "f"},
    )
    data = read_training_data(path)
    assert as_pairs(data)[:] == {
        "query": ["a", "a", "d", "d"],
        "document": ["b", "c", "e", "f"],
        "label": [1, 0, 1, 0],
    }
    assert as_lists(data)[1] == {"query": "d", "documents": ["e", "f"], "labels": [1, 0]}


def test_tuples_of_media_and_texts_become_pairs(write: Write) -> None:
    path = write({"query": "a", "positive": "/m/b.png", "negative": "c"})
    assert as_pairs(read_training_data(path))["document"][:] == [{"image": "/m/b.png"}, "c"]


def test_tuples_of_media_columns_become_pairs_undecoded(tmp_path: Path) -> None:
    stored = {"bytes": (MEDIA / "cat.jpg").read_bytes(), "path": None}
    features = Features(query=Value("string"), positive=Image(), negative=Image())
    Dataset.from_list(
        [{"query": "a", "positive": stored, "negative": stored}], features
    ).to_parquet(tmp_path / "t.parquet")
    pairs = as_pairs(read_training_data(tmp_path / "t.parquet"))
    assert [row["label"] for row in pairs] == [1, 0]
    assert pairs[1]["document"] == stored


def test_pairs_of_one_query_become_a_list_and_tuples(write: Write) -> None:
    path = write(
        {"query": "a", "document": "b", "label": 1},
        {"query": "z", "document": "y", "label": 1},
        {"query": "a", "document": "c", "label": 0},
        {"query": "a", "document": "d", "label": 1},
    )
    data = read_training_data(path)
    assert as_lists(data)[0] == {"query": "a", "documents": ["b", "c", "d"], "labels": [1, 0, 1]}
    assert as_tuples(data)[:] == {
        "query": ["a", "a"],
        "positive": ["b", "d"],
        "negative": ["c", "c"],
    }


def test_tuples_without_any_negative_are_refused(write: Write) -> None:
    data = read_training_data(write({"query": "a", "document": "b", "label": 1}))
    with pytest.raises(InputError, match="no query has both"):
        as_tuples(data)


@pytest.mark.parametrize(
    ("loss", "form"),
    [(BinaryCrossEntropyLoss, "pairs"), (LambdaLoss, "lists"), (MNRLoss, "tuples")],
)
def test_losses_get_the_form_that_they_take(loss: Any, form: str, write: Write) -> None:
    data = read_training_data(write({"query": "a", "positive": ["b"], "negative": ["c", "d"]}))
    assert form_of(as_loss_wants(data, loss.label_rule)) == form


def test_margins_are_left_as_they_stand(write: Write) -> None:
    data = Dataset.from_dict({"query": ["a"], "positive": ["b"], "negative": ["c"], "label": [0.5]})
    assert as_loss_wants(data, MarginMSELoss.label_rule) is data


def test_judged_pairs_group_equal_queries(write: Write) -> None:
    path = write(
        {"query": {"image": "q.png"}, "document": "b", "label": 1},
        {"query": {"image": "q.png"}, "document": "c", "label": 0},
    )
    data = judged_pairs(read_training_data(path), "dev")
    assert data.judgements == {"q0": {"d0": 1.0, "d1": 0.0}}
    assert [judged.label for judged in data.pairs] == [1.0, 0.0]


# ------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("not json", r"line 2: no JSON"),
        ("[1, 2]", r"line 2: a JSON object is needed, got list"),
        ('{"query": "a", "document": "b"}', r"line 2: no 'label'"),
        ('{"query": "a", "document": null, "label": 1}', r"line 2: no 'document'"),
        ('{"query": "a", "document": "b", "label": "x"}', r"line 2, label: 'x' is no number"),
        ('{"query": "a", "document": "b", "label": NaN}', r"line 2, label: nan is no number"),
        ('{"query": "a", "document": {"imag": "b"}, "label": 1}', r"line 2, document: .*imag"),
        ('{"query": "a", "document": [], "label": 1}', r"line 2, document: an empty list"),
        ('{"query": "a", "document": "b", "negative": "c", "label": 1}', r"line 2: 'negative'"),
        ("[" * 100_000, r"line 2: no JSON"),
    ],
)
def test_bad_line_is_named(write: Write, row: str, message: str) -> None:
    path = write({"query": "a", "document": "b", "label": 1}, row)
    with pytest.raises(InputError, match=message) as caught:
        read_training_data(path)
    assert str(path) in str(caught.value)


def test_mistyped_field_is_answered_with_the_near_name(write: Write) -> None:
    with pytest.raises(InputError, match="did you mean 'document'"):
        read_training_data(write({"query": "a", "documnt": "b", "label": 1}))


def test_lists_of_unequal_length_are_refused(write: Write) -> None:
    path = write({"query": "a", "documents": ["b", "c"], "labels": [1]})
    with pytest.raises(InputError, match="line 1: 2 documents and 1 labels"):
        read_training_data(path)


def test_csv_record_with_too_many_fields_is_named(write: Write) -> None:
    path = write("query,document,label", "a,b,1", "a,b,1,c", name="t.csv")
    with pytest.raises(InputError, match="line 3: expected 3 fields"):
        read_training_data(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("no.jsonl", "No such file"), ("no.txt", "expected a file ending"), ("no.parquet", "Parquet")],
)
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_training_data(tmp_path / name)


def test_empty_file_and_empty_folder_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no rows"):
        read_training_data(write(""))
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="neither a saved dataset"):
        read_training_data(tmp_path / "bare")


def test_bytes_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b'{"query": "\xff"}\n')
    with pytest.raises(InputError, match="no JSON in UTF-8"):
        read_training_data(tmp_path / "t.jsonl")


def test_fields_that_play_no_part_are_announced(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write({"id": 7, "query": "a", "document": "b", "label": 1})
    assert read_training_data(path).column_names == ["query", "document", "label"]
    assert "fields that are not used: ['id']" in caplog.text
