"""Paths as seen from the file that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmrerank import Audio, Document, Image, Text, Video
from mmrerank.inputs import parse_document
from mmrerank.inputs.relative import is_path, rebase

SHELF = Path("/shelf")
DATA_URI = "data:image/png;base64,iVBORw0KGgo="


def moved(value: Any) -> list[Any]:
    document = rebase(parse_document(value, where="here"), SHELF)
    return [part.value for part in document]


def test_relative_paths_are_made_absolute():
    parts = [Image("b.png"), Image(Path("q.png")), Image("../up.png"), Image("report.pdf", page=1)]
    found = rebase(Document(tuple(parts)), SHELF)
    assert [part.value for part in found.parts] == [
        "/shelf/b.png",
        "/shelf/q.png",
        "/shelf/../up.png",
        {"pdf": "/shelf/report.pdf", "page": 1},
    ]


@pytest.mark.parametrize(
    "part",
    [Text("a.png"), Audio("/c.wav"), Video("https://example.org/d.mp4"), Image("s3://x/e.png")],
)
def test_texts_absolute_paths_and_urls_stay(part: Any):
    (found,) = rebase(Document((part,)), SHELF).parts
    assert found.value == part.value


def test_data_uri_stays():
    assert moved({"image": DATA_URI}) == [DATA_URI]


def test_each_frame_of_a_clip_is_made_absolute():
    frames = ["one.png", "/two.png", DATA_URI]
    found = rebase(Document((Video(frames),)), SHELF)
    assert found.parts[0].value == ["/shelf/one.png", "/two.png", DATA_URI]


def test_media_in_memory_stay_the_same_objects():
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert moved({"image": pixels})[0] is pixels
    assert moved({"image": b"\x89PNG\r\n\x1a\n"}) == [b"\x89PNG\r\n\x1a\n"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.png", True),
        (Path("a.png"), True),
        ("C:\\a.png", True),
        ("https://example.org/a.png", False),
        (DATA_URI, False),
        (b"a.png", False),
        (None, False),
    ],
)
def test_is_path_tells_files_from_everything_else(source: Any, expected: bool):
    assert is_path(source) is expected
