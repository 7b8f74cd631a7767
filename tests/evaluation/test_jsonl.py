"""JSONL files of judged pairs: the three forms, media beside the file, and lines that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrerank.errors import InputError
from mmrerank.evaluation.jsonl import read_jsonl


def write(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def shown(data):
    return [
        (judged.query_id, judged.pair.document.parts[0].value, judged.label)
        for judged in data.pairs
    ]


def test_lines_of_one_query_become_one_query(tmp_path):
    path = write(
        tmp_path / "dev.jsonl",
        {"query": "tea", "document": "a cup", "label": 1},
        {"query": "cars", "document": "a road", "label": 0.5},
        "",
        {"query": "tea", "document": "a car", "score": False},
    )
    data = read_jsonl(path)
    assert shown(data) == [("q0", "a cup", 1.0), ("q1", "a road", 0.5), ("q0", "a car", 0.0)]
    assert data.judgements == {"q0": {"d0": 1.0, "d2": 0.0}, "q1": {"d1": 0.5}}
    assert data.name == "dev.jsonl"


def test_positives_and_graded_documents_are_read(tmp_path):
    path = write(
        tmp_path / "dev.jsonl",
        {"query": "tea", "positive": "a cup", "negative": ["a car", "a road"], "id": 7},
        {"query": "cars", "documents": ["a road", "a cup"], "labels": [2, 0], "query_id": "z"},
    )
    assert shown(read_jsonl(path)) == [
        ("q0", "a cup", 1.0),
        ("q0", "a car", 0.0),
        ("q0", "a road", 0.0),
        ("z", "a road", 2.0),
        ("z", "a cup", 0.0),
    ]


def test_paths_start_from_the_folder_of_the_file(tmp_path):
    url = "https://example.org/a.png"
    path = write(
        tmp_path / "dev.jsonl",
        {"query": "q", "documents": ["x.png", {"image": "in/y.png"}, url], "labels": [0, 1, 0]},
        {"query": {"text": "x.png"}, "document": "a text", "label": 1},
    )
    data = read_jsonl(path)
    folder = tmp_path.absolute()
    assert [document for _, document, _ in shown(data)[:3]] == [
        str(folder / "x.png"),
        str(folder / "in/y.png"),
        url,
    ]
    assert data.pairs[3].pair.query.parts[0].value == "x.png"


def test_instruction_of_a_line_goes_with_its_pairs(tmp_path):
    row = {"query": "q", "positive": ["a"], "negative": ["b"], "instruction": "Find cups."}
    data = read_jsonl(write(tmp_path / "dev.jsonl", row))
    assert [judged.pair.instruction for judged in data.pairs] == ["Find cups."] * 2


def test_limit_is_in_lines_and_what_stands_behind_is_not_read(tmp_path):
    row = {"query": "q", "positive": ["a"], "negative": ["b"]}
    data = read_jsonl(write(tmp_path / "dev.jsonl", row, row, "broken"), limit=2)
    assert len(data.pairs) == 4


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{not json", "line 2: no JSON"),
        ("[1, 2]", "line 2: a JSON object is needed, got list"),
        ("[" * 100_000, "line 2: no JSON"),
        ({"document": "a", "label": 1}, "line 2: the key 'query' is missing"),
        ({"query": "q", "document": "a"}, "line 2: the key 'label' is missing"),
        ({"query": "q", "label": 1}, "line 2: no document"),
        ({"query": "q", "positive": ["a"], "negatives": []}, "line 2: the key 'negative'"),
        ({"query": "q", "documents": ["a"], "labels": [1, 0]}, "line 2: 1 documents and 2 labels"),
        ({"query": "q", "documents": "a", "labels": [1]}, "line 2: documents and labels are lists"),
        ({"query": "q", "document": "a", "label": "yes"}, r"line 2 \(label\): a label is a finite"),
        ('{"query": "q", "document": "a", "label": NaN}', r"line 2 \(label\): a label is a finite"),
        ({"query": "q", "document": {"imgae": "a.png"}, "label": 1}, r"line 2 \(document\).*imgae"),
        ({"query": "q", "document": [], "label": 1}, r"line 2 \(document\): an empty list"),
        ({"query": "q", "document": "a", "label": 1, "instruction": 3}, "instruction is a text"),
    ],
)
def test_bad_line_is_named_by_file_and_number(line, says, tmp_path):
    good = {"query": "q", "document": "a", "label": 1}
    with pytest.raises(InputError, match=says) as raised:
        read_jsonl(write(tmp_path / "dev.jsonl", good, line))
    assert "dev.jsonl" in str(raised.value)
    assert len(str(raised.value)) < 2_000


def test_bytes_that_are_no_utf8_are_named(tmp_path):
    path = tmp_path / "dev.jsonl"
    path.write_bytes(b'{"query": "\xff", "document": "a", "label": 1}\n')
    with pytest.raises(InputError, match="line 1: no JSON in UTF-8"):
        read_jsonl(path)


def test_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    path = tmp_path / "dev.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"query": "q", "document": "a", "label": 1}\n')
    assert len(read_jsonl(path).pairs) == 1


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty_file_is_refused(content, tmp_path):
    (tmp_path / "dev.jsonl").write_text(content)
    with pytest.raises(InputError, match="nothing to evaluate"):
        read_jsonl(tmp_path / "dev.jsonl")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_jsonl(tmp_path / "none.jsonl")
