"""Texts of known length, and pictures: the same on every run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

__all__ = ["make_pictures", "make_text", "make_texts"]

# Each is one token of the test builders' tokenizers, so that words count as tokens.
_VOCABULARY = """
across answer ball based bell bench blue bread cat circle city closed cost court dark dog door
eating every ferry flour flower garden green high iron known live look lower many near night
noon only people piece planet price read red report rings river roses run search shows small
stops third three ticket town train twenty water web which woman word yeast
"""
_WORDS = _VOCABULARY.split()


def make_text(seed: int, num_words: int) -> str:
    """So many words in a random order."""
    return " ".join(np.random.default_rng(seed).choice(_WORDS, num_words))


def make_texts(seed: int, lengths: Sequence[int]) -> list[str]:
    """One text a length, each another one."""
    return [make_text(seed + index, length) for index, length in enumerate(lengths)]


def make_pictures(seed: int, num: int, *, side_px: int = 448) -> list[Image.Image]:
    """Noise, RGB."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (num, side_px, side_px, 3), dtype=np.uint8)
    return [Image.fromarray(picture) for picture in pixels]
