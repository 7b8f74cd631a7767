"""Pairs, pictures and clips that the tests of this folder share, and what "equal scores" means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

# transformers 5.23 reads additional_chat_templates/*.jinja without closing the files.
UNCLOSED_TEMPLATES = pytest.mark.filterwarnings(
    "ignore:unclosed file .*additional_chat_templates:ResourceWarning"
)

QUERY = "How many people live in the city near the river?"
DOCUMENTS = [
    "The city has a population of three million people.",
    "The ferry leaves the harbour at noon.",
    "Rain fell on the garden all night, and the roses are in flower. " * 8,
    "Bread.",
    "",
    "Zürich hat 400 000 Einwohner; 東京 has more.",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]


def picture(width_px: int, height_px: int, colour: str = "green") -> Image.Image:
    """A rectangle of that colour on white."""
    made = Image.new("RGB", (width_px, height_px), "white")
    ImageDraw.Draw(made).rectangle((8, 8, width_px // 2, height_px // 2), fill=colour)
    return made


def clip(num_frames: int = 4, *, px: int = 64) -> np.ndarray:
    """Frames (num_frames, px, px, 3) uint8, red and blue in turn."""
    colours = ("red", "blue")
    frames = [np.asarray(picture(px, px, colours[i % 2])) for i in range(num_frames)]
    return np.stack(frames)


def assert_same_scores(ours: Any, theirs: Any, *, tolerance: float = 1e-5) -> None:
    """Equal shapes, and each difference at most `tolerance` · max(1, |score|)."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    assert ours.shape == theirs.shape
    assert theirs.size > 0
    worst = np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)))
    assert worst <= tolerance, f"worst difference {worst:.2e}:\n{ours}\n{theirs}"
