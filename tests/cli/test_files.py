"""Documents as tables name them, and paths as seen from their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmrerank import Audio, Document, Image, Text, Video
from mmrerank.cli._files import describe, kind_of, rebase_pair
from mmrerank.types import Pair


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\n words", "two words"),
        ({"id": "a", "text": "a chart", "image": "chart.png"}, "a chart + chart.png"),
        ({"pdf": "report.pdf", "page": 2}, "report.pdf page 2"),
        ({"image": {"pdf": "report.pdf", "page": 1}}, "report.pdf page 1"),
        ({"image": ["a.png", "b.png"]}, "a.png + b.png"),
        (
            {"content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "b"}]},
            "a.png + b",
        ),
    ],
)
def test_describe_names_a_document_in_one_line(value: Any, shown: str):
    assert describe(value) == shown


def test_kind_names_each_kind_once_in_the_order_of_the_parts():
    document = Document((Image("a.png"), Text("b"), Image("c.png"), Image("d.pdf", page=1)))
    assert kind_of(document) == "image + text + pdf"


def test_rebase_pair_changes_query_and_document():
    parts = (Text("a.png"), Image("b.png"), Audio("/c.wav"), Video("https://example.org/d.mp4"))
    pair = Pair(0, Document((Image(Path("q.png")),)), Document(parts))
    moved = rebase_pair(pair, Path("/shelf"))
    assert [part.value for part in moved.document] == [
        "a.png",
        "/shelf/b.png",
        "/c.wav",
        "https://example.org/d.mp4",
    ]
    assert moved.query.parts[0].value == "/shelf/q.png"
