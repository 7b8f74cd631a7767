"""Small real pictures for the tests of this folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image

__all__ = ["picture"]

_FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "media"


@cache
def picture(name: str, width_px: int = 160) -> Image.Image:
    """A picture of fixtures/media by its stem, resized to that width."""
    with Image.open(_FIXTURES / f"{name}.jpg") as opened:
        whole = opened.convert("RGB")
    return whole.resize((width_px, round(whole.height * width_px / whole.width)))
