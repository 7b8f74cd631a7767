"""The page: complete, self-contained, and no stage for what stands in documents."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from mmrerank.errors import InputError
from mmrerank.evaluation.report import (
    EvalReport,
    ScoredExample,
    Table,
    read_log_history,
    render_report,
    write_report,
)
from mmrerank.evaluation.results import shown_document
from mmrerank.types import Document, Image, Text

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;"
HISTORY: list[dict[str, Any]] = [
    {"step": 1, "loss": 0.9},
    {"step": 2, "loss": 0.5, "eval_loss": 0.7},
    {"step": 3, "loss": float("nan")},
    {"step": "x", "loss": None},
]


class Page(HTMLParser):
    """Elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def full_report(text: str) -> EvalReport:
    rng = np.random.default_rng(0)
    labels = (rng.random(60) < 0.4).astype(float)
    return EvalReport(
        title=text,
        facts={text: text},
        headline=(text, 0.5),
        tables=[Table(text, [text, "value"], [[text, 0.25], ["count", 3], ["none", None]])],
        scores=(rng.normal(size=60) + labels).tolist(),
        labels=labels.tolist(),
        ndcg={text: {1: 0.5, 10: 0.6}, "before": {1: 0.2, 10: 0.3}},
        log_history=HISTORY,
        examples=[ScoredExample(text, text, 1.0, 0.1)],
        notes=[text],
    )


def test_text_from_outside_is_never_markup():
    page = Page(render_report(full_report(EVIL)))
    assert not {"script", "img", "iframe", "object", "link"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count("alert(1)") == page.text.count("<script>alert(1)") > 5
    assert page.open == []


def test_page_loads_nothing_from_elsewhere():
    page = render_report(full_report("plain"))
    addresses = set(re.findall(r"[a-z]+://[^\"'\s<)]+", page))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)


def test_every_plot_is_there_and_takes_the_colours_of_the_page():
    page = render_report(full_report("plain"))
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == [
        "plain",
        "Loss",
        "nDCG by cut-off",
        "Scores",
        "Precision and recall",
        "Reliability",
        "Pairs to look at",
    ]
    assert page.count("<svg ") == 5
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert set(re.findall(r"#0\d0\d0\d\b", drawn)) == set()
    assert "var(--text)" in drawn


def test_what_plots_refer_to_is_defined_once():
    page = render_report(full_report("plain"))
    ids = re.findall(r' id="([^"]*)"', page)
    used = re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', page)
    names = {first or second for first, second in used}
    assert len(names) > 5
    assert [ids.count(name) for name in names] == [1] * len(names)


def test_what_is_missing_is_left_out():
    page = render_report(EvalReport("bare"))
    assert "<svg" not in page
    assert "<table" not in page
    assert "<h1>bare</h1>" in page


@pytest.mark.parametrize("labels", [[1.0, 1.0], [0.0, 0.0]])
def test_labels_of_one_kind_have_no_distribution(labels):
    assert "<svg" not in render_report(EvalReport("one", scores=[0.1, 0.2], labels=labels))


def test_equal_scores_are_drawn():
    page = render_report(EvalReport("same", scores=[0.5] * 4, labels=[1.0, 0.0, 1.0, 0.0]))
    assert page.count("<svg ") == 3


def test_logits_are_said_to_be_logits():
    page = render_report(EvalReport("logits", scores=[-4.0, 5.0], labels=[0.0, 1.0]))
    assert "Scores are logits: a sigmoid was taken." in page


def test_same_report_gives_the_same_bytes():
    assert render_report(full_report("plain")) == render_report(full_report("plain"))


def test_file_is_written_into_a_new_folder_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "report.html"
    write_report(path, EvalReport("lone surrogate \ud800"))
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(path.parent.iterdir()) == [path]


def test_long_text_is_cut():
    assert len(render_report(EvalReport("x" * 1_000_000))) < 10_000


def test_log_history_is_read_from_file_or_folder(tmp_path):
    history = HISTORY[:2]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    assert read_log_history(tmp_path) == history
    assert read_log_history(tmp_path / "trainer_state.json") == history


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"log_history": [1]}', "[" * 100_000])
def test_file_that_is_no_training_log_is_named(text, tmp_path):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(InputError, match=r"state\.json: no "):
        read_log_history(tmp_path / "state.json")


def test_documents_are_shown_without_folders_and_keys():
    document = Document(
        (
            Text("a text"),
            Image("/home/somebody/pictures/cat.png"),
            Image("https://user:key@example.org/a.png?token=1"),
            Image("data:image/png;base64,AAAA"),
            Image(b"bytes"),
        )
    )
    assert shown_document(document) == (
        "a text + image: cat.png + image: 'https://example.org/a.png' + image: (data) + "
        "image: (data)"
    )
