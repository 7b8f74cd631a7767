"""Pictures → (height, width, 3) uint8 RGB, upright, opaque, an animation's first frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from mmrerank.errors import MediaUnreadable
from mmrerank.media.arrays import to_numpy, to_uint8
from mmrerank.media.limits import check_decoded, check_pixels
from mmrerank.media.opaque import opaque_rgb, rgb_of
from mmrerank.media.pillow import open_picture, pillow_at_work
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.shrink import draft, reduced
from mmrerank.types import DecodeBudget, DecodedImage

__all__ = ["channels_last", "decode_image", "image_from_array", "image_from_pil"]

# A PIL image that is not loaded yet reads from one shared file; two threads would read past each
# other.
_PIL_LOCKS = tuple(threading.Lock() for _ in range(64))
_BAND_PX = 64


def decode_image(data: bytes, budget: DecodeBudget, policy: MediaPolicy) -> DecodedImage:
    """Decode a picture file. Its size is checked before its pixels are.

    Raises MediaTooLarge, or MediaUnreadable where pillow cannot read it to the end.
    """
    with pillow_at_work("no picture that can be decoded"), open_picture(data) as image:
        _check_pixels(image, policy)
        size = image.size
        draft(image, _least_pixels(budget))
        _check_decoded(image, policy)
        image.load()
        return _decoded(image, size, budget)


def image_from_pil(image: Image.Image, budget: DecodeBudget, policy: MediaPolicy) -> DecodedImage:
    """Pixels of a PIL image, by the same rules as a file. The caller's image is not changed."""
    with pillow_at_work("the PIL image cannot be read"):
        _check_pixels(image, policy)
        _check_decoded(image, policy)
        with _PIL_LOCKS[id(image) // 64 % len(_PIL_LOCKS)]:
            image.load()
        return _decoded(image, image.size, budget)


def image_from_array(value: Any, budget: DecodeBudget, policy: MediaPolicy) -> DecodedImage:
    """Pixels of an array (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels; see `to_uint8`.

    Where both ends could be channels, the first counts, as in transformers. Raises MediaUnreadable.
    """
    array = to_numpy(value, policy)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise MediaUnreadable(
            f"an array of shape {array.shape} is no picture; expected 2 or 3 dimensions."
        )
    array = channels_last(array, "a picture")
    height, width = array.shape[:2]
    check_pixels(width, height, policy)
    check_decoded(width * height * 3, policy, f"a picture of {width}x{height} px")
    return DecodedImage(rgb_of(to_uint8(array), budget.transparency))


def channels_last(array: np.ndarray, what: str) -> np.ndarray:
    """(…, H, W, C) from (…, H, W, C) or (…, C, H, W). Where both ends could be C: see below."""
    if array.shape[-3] in (1, 3):  # Source: transformers' infer_channel_dimension_format
        return np.moveaxis(array, -3, -1)
    if array.shape[-1] in (1, 3, 4):
        return array
    if array.shape[-3] == 4:
        return np.moveaxis(array, -3, -1)
    raise MediaUnreadable(
        f"an array of shape {array.shape} is not {what}: no axis has 1, 3 or 4 channels."
    )


def _check_pixels(image: Image.Image, policy: MediaPolicy) -> None:
    if image.width <= 0 or image.height <= 0:
        raise MediaUnreadable(f"the picture has no pixels ({image.width}x{image.height}).")
    check_pixels(image.width, image.height, policy)


def _check_decoded(image: Image.Image, policy: MediaPolicy) -> None:
    width, height = image.size
    check_decoded(width * height * 3, policy, f"a picture of {width}x{height} px")


def _least_pixels(budget: DecodeBudget) -> int | None:
    return budget.max_image_pixels if budget.fast else None


def _decoded(image: Image.Image, stored: tuple[int, int], budget: DecodeBudget) -> DecodedImage:
    """stored: (width, height) of the file, before a draft."""
    orientation = _orientation_of(image)
    image = reduced(opaque_rgb(image, budget.transparency), _least_pixels(budget))
    full_size = stored if orientation in _ON_THEIR_SIDE else stored[::-1]  # (height, width)
    return DecodedImage(_upright(image, orientation), None if image.size == stored else full_size)


def _upright(image: Image.Image, orientation: int) -> np.ndarray:
    """(height, width, 3) uint8 of an RGB picture, turned as its EXIF orientation says.

    Some rows at a time: the whole does not stay in the processor's caches on its way through
    np.asarray (48 against 14 ms, 12 megapixels), which would also leave it read only. Rows are
    written where they belong after the turn, so the picture is never there twice.
    """
    size = image.size if orientation in _ON_THEIR_SIDE else image.size[::-1]
    pixels = np.empty((*size, 3), np.uint8)
    lying = _AS_STORED[orientation](pixels) if orientation in _AS_STORED else pixels
    for top in range(0, image.height, _BAND_PX):
        bottom = min(top + _BAND_PX, image.height)
        lying[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


# Orientation -> the upright picture seen as the file stores it, a view. Source: EXIF 2.32, tag
# Orientation. pillow's exif_transpose also writes the EXIF anew, and so fails on a damaged one.
_AS_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}
_ON_THEIR_SIDE = (5, 6, 7, 8)


def _orientation_of(image: Image.Image) -> int:
    """1 to 8; 1, upright, where the EXIF data are damaged."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # pillow reads what a file claims; anything may come of it
        return 1
    return value if isinstance(value, int) else 1
