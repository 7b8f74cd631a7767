"""Arrays and tensors: made numpy (torch is not imported for it), scaled to pixels, hashed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mmrerank.errors import MediaUnreadable

__all__ = ["digest_of", "to_numpy", "to_uint8"]


def to_numpy(value: Any) -> np.ndarray:
    """A numpy array of numbers from a numpy array or torch tensor (bfloat16 becomes float32).

    Raises MediaUnreadable for other dtypes, empty arrays, NaN and infinities.
    """
    array: np.ndarray
    if isinstance(value, np.ndarray):
        array = value
    else:
        tensor = value.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if array.dtype.kind not in "buif":
        raise MediaUnreadable(f"an array of {array.dtype} holds no pixels or samples.")
    if array.size == 0:
        raise MediaUnreadable(f"an array of shape {array.shape} is empty.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise MediaUnreadable("the array holds NaN or infinite values.")
    return array


def to_uint8(array: np.ndarray) -> np.ndarray:
    """Pixels of any dtype as uint8.

    uint8 as it is; uint16 by its high byte's scale; other integers must lie in 0..255; floats are
    [0, 1] when nothing exceeds 1, else [0, 255]. Raises MediaUnreadable for values outside, such
    as normalised
    pixels: a guess at their mean would be silently wrong.
    """
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 255:
        raise MediaUnreadable(
            f"pixels lie between {low:g} and {high:g}; expected 0..255, or floats in 0..1. "
            "Undo the normalisation before passing the array."
        )
    if array.dtype.kind == "f":
        scale = 255.0 if high <= 1.0 else 1.0
        pixels: np.ndarray = np.rint(array.astype(np.float32) * scale).astype(np.uint8)
        return pixels
    return array.astype(np.uint8)


def digest_of(*pieces: object) -> str:
    """A hash over bytes, arrays (shape, dtype and values) and plain values, as a hex string."""
    hasher = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        if isinstance(piece, np.ndarray):
            hasher.update(repr((piece.shape, piece.dtype.str)).encode())
            hasher.update(np.ascontiguousarray(piece).data)
        elif isinstance(piece, bytes):
            hasher.update(f"bytes {len(piece)}".encode())
            hasher.update(piece)
        else:
            hasher.update(repr(piece).encode())
        hasher.update(b"\0")
    return hasher.hexdigest()
