"""`mmrerank info` and `mmrerank processors`."""

from __future__ import annotations

import json

from tests.checkpoints import QWEN3_VL_INSTRUCTION


def test_info_shows_family_modalities_head_and_the_prompt(run, picture_model):
    ran = run("info", picture_model)
    assert ran.code == 0
    assert "qwen3-vl-reranker" in ran.out
    assert "text, image, video" in ran.out
    assert "logit-score" in ran.out
    assert QWEN3_VL_INSTRUCTION in ran.out
    assert "<|im_start|>user" in ran.out


def test_info_says_where_a_decision_came_from(run, picture_model):
    rows = [line.split() for line in run("info", picture_model).out.splitlines()]
    (truncation,) = [row for row in rows if row[:1] == ["truncation"]]
    assert truncation[1] == "document"
    assert len(truncation) > 2


def test_info_as_json_is_what_describe_returns(run, text_model):
    from mmrerank import CrossEncoder

    shown = json.loads(run("info", text_model, "--json").out)
    assert shown == json.loads(json.dumps(CrossEncoder(str(text_model)).describe()))


def test_processors_lists_every_folder(run):
    from mmrerank.specs import list_processors

    ran = run("processors", "--json")
    names = [row["name"] for row in json.loads(ran.out)]
    assert ran.code == 0
    assert names == [spec.name for spec in list_processors()]
    assert "qwen3-vl-reranker" in names


def test_processors_table_has_a_row_each(run):
    ran = run("processors")
    rows = {line.split()[0] for line in ran.out.splitlines() if line.strip()}
    assert {"qwen3-reranker", "sequence-classification", "tiny-omni"} <= rows


def test_info_shows_scale_and_licence(run, text_model, picture_model):
    rows = {line.split()[0]: line.split()[1:] for line in _lines(run("info", text_model).out)}
    assert rows["scale"] == ["logit"]
    assert "license" in rows
    shown = json.loads(run("info", picture_model, "--json").out)
    assert shown["scale"] == "logit"


def test_processors_show_scale_and_licence(run):
    rows = {row["name"]: row for row in json.loads(run("processors", "--json").out)}
    assert rows["qwen3-reranker"]["scale"] == "probability"
    assert rows["sequence-classification"]["scale"] == "as the checkpoint says"
    assert rows["jina-reranker-m0"]["license"] == "CC-BY-NC-4.0"
    header = _lines(run("processors").out)[0].split()
    assert header == ["name", "modalities", "head", "scale", "license"]


def test_processors_cannot_be_json_and_markdown_at_once(run):
    ran = run("processors", "--json", "--markdown")
    assert (ran.code, ran.out) == (2, "")


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
