"""Pictures and frames of any kind → opaque RGB, by the budget's rule for transparency."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from mmrerank.media.arrays import to_uint8

__all__ = ["Transparency", "opaque_rgb", "rgb_of"]

Transparency: TypeAlias = Literal["white", "black", "drop"]

_BACKGROUND = {"white": 255, "black": 0}
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_BLENDED_BYTES = 1 << 24  # of pixels that are blended at once


def opaque_rgb(image: Image.Image, transparency: Transparency) -> Image.Image:
    """RGB of a loaded picture in any mode; perhaps the picture itself, so do not change it.

    For an opaque 8-bit picture, and with "drop", it is pillow's own convert("RGB"), bit for bit.
    """
    if image.mode in _SIXTEEN_BIT_MODES:  # pillow's convert would clip at 255
        return _gray_of(np.asarray(image).astype(np.uint16), image, transparency)
    if image.mode in ("I", "F"):
        return _gray_of(_eight_or_sixteen_bit(np.asarray(image)), image, transparency)
    if image.mode in ("La", "RGBa"):  # colours multiplied by their opacity
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if transparency == "drop" or not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    if layer.getchannel("A").getextrema()[0] == 255:
        return layer.convert("RGB")
    below = _BACKGROUND[transparency]
    return Image.alpha_composite(
        Image.new("RGBA", layer.size, (below, below, below, 255)), layer
    ).convert("RGB")


def _gray_of(values: np.ndarray, image: Image.Image, transparency: Transparency) -> Image.Image:
    pixels = to_uint8(values)
    clear = image.info.get("transparency")  # of a 16-bit PNG: the gray that counts as clear
    if transparency != "drop" and isinstance(clear, int):
        pixels = np.where(values == clear, np.uint8(_BACKGROUND[transparency]), pixels)
    return Image.fromarray(pixels).convert("RGB")


def _eight_or_sixteen_bit(values: np.ndarray) -> np.ndarray:
    """Modes I (of 16-bit PNG in older pillow) and F: the range of the values decides the scale."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind != "f" and low >= 0 and 255 < high <= 65_535:
        return values.astype(np.uint16)
    return values


def rgb_of(pixels: np.ndarray, transparency: Transparency) -> np.ndarray:
    """(…, H, W, 3) uint8 from 1, 3 or 4 channels of uint8; the fourth is opacity."""
    num_channels = pixels.shape[-1]
    if num_channels == 1:
        pixels = np.broadcast_to(pixels, (*pixels.shape[:-1], 3))
    if num_channels == 4 and transparency == "drop":
        pixels = pixels[..., :3]
    elif num_channels == 4:
        return _blended(pixels, _BACKGROUND[transparency])
    return np.ascontiguousarray(pixels)


def _blended(pixels: np.ndarray, below: int) -> np.ndarray:
    """Some rows or frames at a time: the sums need more bytes than their results."""
    mixed = np.empty((*pixels.shape[:-1], 3), np.uint8)
    num_rows = max(1, _BLENDED_BYTES // max(1, pixels[0].size))
    for start in range(0, len(pixels), num_rows):
        rows = pixels[start : start + num_rows]
        opacity = rows[..., 3:].astype(np.uint16)
        sums = rows[..., :3] * opacity + below * (255 - opacity)
        mixed[start : start + num_rows] = (sums + 127) // 255
    return mixed
