"""Pictures → (height, width, 3) uint8 RGB, upright, over white, an animation's first frame."""

from __future__ import annotations

import io
import threading
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.media.arrays import to_numpy, to_uint8
from mmrerank.media.guard import decoder_errors
from mmrerank.media.limits import check_pixels
from mmrerank.media.policy import MediaPolicy
from mmrerank.types import DecodedImage

__all__ = [
    "channels_last",
    "decode_image",
    "image_from_array",
    "image_from_pil",
    "rgb_of",
]

_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
# A PIL image that is not loaded yet reads from one shared file; two threads would read past each
# other.
_PIL_LOCKS = tuple(threading.Lock() for _ in range(64))


def decode_image(data: bytes, policy: MediaPolicy) -> DecodedImage:
    """Decode a picture file. Its size is checked before its pixels are.

    Raises MediaTooLarge, or MediaUnreadable where pillow cannot read it to the end.
    """
    with decoder_errors("no picture that can be decoded"):
        try:
            with Image.open(io.BytesIO(data)) as image:
                _check_size(image, policy)
                return DecodedImage(_pixels_of(image))
        except UnidentifiedImageError as error:
            raise MediaUnreadable("its bytes are no picture of a known format.") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise MediaTooLarge(
                f"{error} The policy allows {policy.max_pixels:,}; above Pillow's own limit raise "
                "PIL.Image.MAX_IMAGE_PIXELS too."
            ) from error


def image_from_pil(image: Image.Image, policy: MediaPolicy) -> DecodedImage:
    """Pixels of a PIL image, by the same rules as a file. The caller's image is not changed."""
    _check_size(image, policy)
    with decoder_errors("the PIL image cannot be read"):
        with _PIL_LOCKS[id(image) // 64 % len(_PIL_LOCKS)]:
            image.load()
        return DecodedImage(_pixels_of(image))


def image_from_array(value: Any, policy: MediaPolicy) -> DecodedImage:
    """Pixels of an array (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels; see `to_uint8`.

    Where both ends could be channels, the first counts, as in transformers. Raises MediaUnreadable.
    """
    array = to_numpy(value)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise MediaUnreadable(
            f"an array of shape {array.shape} is no picture; expected 2 or 3 dimensions."
        )
    array = channels_last(array, "a picture")
    check_pixels(array.shape[1], array.shape[0], policy)
    return DecodedImage(rgb_of(to_uint8(array)))


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


def rgb_of(pixels: np.ndarray) -> np.ndarray:
    """(…, H, W, 3) uint8 from 1, 3 or 4 channels; the fourth is opacity, over white."""
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if pixels.shape[-1] == 4:
        opacity = pixels[..., 3:].astype(np.uint16)
        blended = pixels[..., :3] * opacity + 255 * (255 - opacity)
        pixels = ((blended + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def _check_size(image: Image.Image, policy: MediaPolicy) -> None:
    if image.width == 0 or image.height == 0:
        raise MediaUnreadable(f"the picture has no pixels ({image.width}x{image.height}).")
    check_pixels(image.width, image.height, policy)


def _pixels_of(image: Image.Image) -> np.ndarray:
    # exif_transpose copies every picture, so it is asked only where there is something to turn.
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    return np.array(_rgb(image), dtype=np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    """RGB of any mode; for an opaque 8-bit picture pillow's own convert("RGB"), bit for bit."""
    if image.mode in _SIXTEEN_BIT_MODES:  # pillow's convert would clip at 255
        return Image.fromarray(to_uint8(np.asarray(image).astype(np.uint16))).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_eight_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _eight_bit(values: np.ndarray) -> np.ndarray:
    """Modes I (of 16-bit PNG in older pillow) and F: the range of the values decides the scale."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind != "f" and low >= 0 and 255 < high <= 65_535:
        return to_uint8(values.astype(np.uint16))
    return to_uint8(values)
