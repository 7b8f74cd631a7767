"""Arrays and tensors: made numpy (torch is not imported for it), scaled to pixels, hashed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmrerank.errors import MediaError, MediaUnreadable, shorten
from mmrerank.media.limits import check_decoded
from mmrerank.media.policy import MediaPolicy

__all__ = ["digest_of", "new_digest", "to_numpy", "to_uint8"]

_CHUNK_BYTES = 1 << 24  # of an array that are converted or hashed at once


def to_numpy(value: Any, policy: MediaPolicy) -> np.ndarray:
    """A numpy array of numbers from a numpy array or torch tensor (bfloat16 becomes float32).

    Nothing is copied that need not be. Raises MediaUnreadable for other dtypes, empty arrays,
    masked ones, NaN and infinities, and for tensors without values (meta) or of another layout;
    MediaTooLarge for more bytes than the policy allows, also where they share memory (broadcast).
    """
    array = (
        _own_numpy(value, policy) if isinstance(value, np.ndarray) else _of_tensor(value, policy)
    )
    if array.dtype.kind not in "buif":
        raise MediaUnreadable(f"an array of {array.dtype} holds no pixels or samples.")
    if array.size == 0:
        raise MediaUnreadable(f"an array of shape {array.shape} is empty.")
    # The ends of the range tell, and take no memory: NaN passes through both.
    if array.dtype.kind == "f" and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise MediaUnreadable("the array holds NaN or infinite values.")
    return array


def _own_numpy(value: np.ndarray, policy: MediaPolicy) -> np.ndarray:
    """Without subclass, in this machine's byte order."""
    _check_size(value.shape, value.dtype.itemsize, policy)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise MediaUnreadable("the array has masked values; fill them: array.filled(...).")
    array = value.view(np.ndarray)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _of_tensor(tensor: Any, policy: MediaPolicy) -> np.ndarray:
    try:
        _check_size(tuple(tensor.shape), tensor.element_size(), policy)
        tensor = tensor.detach().cpu()
        if tensor.is_complex():  # torch would drop the imaginary part
            raise MediaUnreadable(f"a tensor of {tensor.dtype} holds no pixels or samples.")
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        try:
            array: np.ndarray = tensor.resolve_conj().resolve_neg().numpy()
        except TypeError:  # numpy knows no bfloat16 and no float8
            array = tensor.float().numpy()
    except MediaError:
        raise
    except Exception as error:  # meta, sparse, nested, vmapped, …: each has its own exception
        raise MediaUnreadable(
            f"a tensor of {getattr(tensor, 'dtype', '?')} on {getattr(tensor, 'device', '?')} "
            f"({getattr(tensor, 'layout', '?')}) gives no values: {shorten(str(error))}. Pass a "
            "dense tensor on the CPU."
        ) from error
    return array


def _check_size(shape: tuple[int, ...], item_bytes: int, policy: MediaPolicy) -> None:
    check_decoded(math.prod(shape) * item_bytes, policy, f"an array of shape {shape}")


def to_uint8(array: np.ndarray) -> np.ndarray:
    """Pixels of any dtype as uint8.

    uint8 as it is; uint16 by its high byte's scale; other integers must lie in 0..255; floats are
    [0, 1] when nothing exceeds 1, else [0, 255]. Raises MediaUnreadable for values outside, such
    as normalised pixels: a guess at their mean would be silently wrong.
    """
    if array.dtype == np.uint8:
        return array
    scale = 1.0
    if array.dtype not in (np.bool_, np.uint16):
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 255:
            raise MediaUnreadable(
                f"pixels lie between {low:g} and {high:g}; expected 0..255, or floats in 0..1. "
                "Undo the normalisation before passing the array."
            )
        scale = 255.0 if array.dtype.kind == "f" and high <= 1.0 else 1.0
    if array.ndim < 2:
        return _scaled(array, scale)
    pixels = np.empty(array.shape, np.uint8)
    for part in _parts(array):
        pixels[part] = _scaled(array[part], scale)
    return pixels


def _scaled(array: np.ndarray, scale: float) -> np.ndarray:
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f":
        pixels: np.ndarray = np.rint(array.astype(np.float32) * scale).astype(np.uint8)
        return pixels
    return array.astype(np.uint8)


def _parts(array: np.ndarray) -> Iterator[slice]:
    """Slices of the first axis of about _CHUNK_BYTES each."""
    num_rows = max(1, _CHUNK_BYTES // max(1, array[0].nbytes))
    for start in range(0, len(array), num_rows):
        yield slice(start, start + num_rows)


def new_digest() -> hashlib.blake2b:
    """The hash that names content everywhere."""
    return hashlib.blake2b(digest_size=16)


def digest_of(*pieces: object) -> str:
    """A hash over bytes, arrays (shape, dtype and values) and plain values, as a hex string."""
    hasher = new_digest()
    for piece in pieces:
        if isinstance(piece, np.ndarray):
            hasher.update(repr((piece.shape, piece.dtype.str)).encode())
            for part in _parts(piece) if piece.ndim else [...]:
                hasher.update(np.ascontiguousarray(piece[part]).data)
        elif isinstance(piece, bytes):
            hasher.update(f"bytes {len(piece)}".encode())
            hasher.update(piece)
        else:
            hasher.update(repr(piece).encode())
        hasher.update(b"\0")
    return hasher.hexdigest()
