"""The fast way of `DecodeBudget.fast`: sizes that keep at least the pixels the model looks at."""

from __future__ import annotations

import math

from PIL import Image, ImageFile

__all__ = ["draft", "reduced", "shrunk_size"]


def draft(image: ImageFile.ImageFile, least_pixels: int | None) -> None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 where at least `least_pixels` remain."""
    if least_pixels is None or image.format != "JPEG":
        return
    width, height = image.size
    for part in (8, 4, 2):
        small = (width // part, height // part)
        if min(small) > 0 and math.prod(small) >= least_pixels:
            image.draft(None, small)
            return


def reduced(image: Image.Image, least_pixels: int | None) -> Image.Image:
    """Blocks of pixels become their mean, as large ones as leave at least `least_pixels`."""
    if least_pixels is None:
        return image
    part = math.isqrt(image.width * image.height // least_pixels)
    part = min(part, image.width, image.height)
    return image.reduce(part) if part >= 2 else image


def shrunk_size(width: int, height: int, least_pixels: int | None) -> tuple[int, int]:
    """(width, height) of a frame at its proportions: even sides, at least `least_pixels`.

    The frame's own where that would not save a quarter of the pixels.
    """
    if least_pixels is None or width * height * 3 <= least_pixels * 4:
        return width, height
    scale = math.sqrt(least_pixels / (width * height))
    return _even(width * scale), _even(height * scale)


def _even(side: float) -> int:
    return max(2, 2 * math.ceil(round(side, 6) / 2))
