"""`mmrerank score`: a line in, a line out, in order, whatever one of them holds."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest


def write_lines(path: Path, lines: Sequence[Any]) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    return path


def read_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_scores_stand_in_the_order_of_the_pairs(run, text_model, tmp_path):
    from mmrerank import CrossEncoder

    texts = ["green tea", "a", "a longer text about cars and roads", "tea " * 40, "red"]
    pairs = write_lines(
        tmp_path / "pairs.jsonl", [{"query": "tea", "document": text} for text in texts]
    )
    ran = run("score", pairs, "-o", tmp_path / "scores.jsonl", "--model", text_model)
    scores = read_lines((tmp_path / "scores.jsonl").read_text())
    expected = CrossEncoder(str(text_model)).predict([("tea", text) for text in texts])
    assert (ran.code, ran.out) == (0, "")
    assert [line["index"] for line in scores] == [0, 1, 2, 3, 4]
    assert [line["score"] for line in scores] == pytest.approx(list(expected), abs=1e-5)


def test_bad_lines_have_an_error_in_their_place_and_code_1(run, picture_model, media, tmp_path):
    (tmp_path / "cat.jpg").write_bytes((media / "cat.jpg").read_bytes())
    lines = [
        {"query": "a cat", "document": {"image": "cat.jpg"}},
        "not json",
        {"query": "a cat"},
        {"query": "a cat", "document": {"image": "missing.jpg"}},
        {"query": "a cat", "document": "a text"},
    ]
    ran = run("score", write_lines(tmp_path / "pairs.jsonl", lines), "--model", picture_model)
    scores = read_lines(ran.out)
    assert ran.code == 1
    assert [line["index"] for line in scores] == [0, 1, 2, 3, 4]
    assert ["score" in line for line in scores] == [True, False, False, False, True]
    assert scores[1]["error"].startswith("InputError: inputs[1]: no JSON")
    assert "the key 'document' is missing" in scores[2]["error"]
    assert "missing.jpg" in scores[3]["error"]
    assert ran.err.endswith("3 of the pairs could not be scored\n")


def test_dash_reads_stdin(run, text_model, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO('{"query": "tea", "document": "tea"}\n'))
    ran = run("score", "-", "--model", text_model)
    assert ran.code == 0
    assert [set(line) for line in read_lines(ran.out)] == [{"index", "score"}]


def test_instruction_of_a_line_wins_over_that_of_the_command(run, picture_model, tmp_path):
    own = {"query": "tea", "document": "a cup", "instruction": "Find cups."}
    plain = {"query": "tea", "document": "a cup"}
    pairs = write_lines(tmp_path / "pairs.jsonl", [own, plain])
    arguments = ["score", pairs, "--model", picture_model]
    own_first, plain_first = read_lines(run(*arguments, "-i", "Find cars.").out)
    own_second, plain_second = read_lines(run(*arguments, "-i", "Find cups.").out)
    assert own_first["score"] == pytest.approx(own_second["score"], abs=1e-5)
    assert plain_second["score"] == pytest.approx(own_second["score"], abs=1e-5)
    assert plain_first["score"] != pytest.approx(plain_second["score"], abs=1e-5)


def test_several_labels_give_a_list(run, tmp_path):
    from tests.checkpoints import build_bert_nli

    model = build_bert_nli(tmp_path / "nli")
    pairs = write_lines(tmp_path / "pairs.jsonl", [{"query": "tea", "document": "a cup"}])
    (line,) = read_lines(run("score", pairs, "--model", model).out)
    assert len(line["score"]) == 3


def test_output_over_the_input_is_refused(run, text_model, tmp_path):
    pairs = write_lines(tmp_path / "pairs.jsonl", [{"query": "tea", "document": "a cup"}])
    ran = run("score", pairs, "-o", tmp_path / "." / "pairs.jsonl", "--model", text_model)
    assert ran.code == 2
    assert "would overwrite the pairs" in ran.err
    assert read_lines(pairs.read_text()) == [{"query": "tea", "document": "a cup"}]


def test_missing_file_is_one_line(run, tmp_path):
    ran = run("score", tmp_path / "none.jsonl")
    assert ran.code == 2
    assert ran.err == f"error: {tmp_path / 'none.jsonl'}: No such file or directory\n"


def test_lines_are_read_as_scores_are_written(text_model, tmp_path, monkeypatch):
    """A file longer than memory: the reader is at most one window ahead of the writer."""
    from mmrerank import CrossEncoder
    from mmrerank.pipeline import Window

    num_read = 0

    def pairs():
        nonlocal num_read
        for number in range(2_000):
            num_read += 1
            yield "tea", f"document {number}"

    stream = CrossEncoder(str(text_model)).score_stream(pairs())
    assert next(stream).index == 0
    assert num_read <= Window().max_pairs + 128 + 32  # a window, what is prepared ahead, a handful
