"""What an object is, told from its class alone: no torch, PIL or torchcodec is imported."""

from __future__ import annotations

import io
import os
from typing import Any, Literal

import numpy as np

from mmrerank.errors import AmbiguousInput, InputError, UnsupportedInput, shorten
from mmrerank.inputs.sniff import HEAD_BYTES

__all__ = [
    "ACCEPTED",
    "array_ndim",
    "as_binary",
    "decoder_modality",
    "has_method",
    "is_file_object",
    "is_media_source",
    "is_pil_image",
    "peek",
]

ACCEPTED = (
    "Accepted: str, Path, bytes, binary file, PIL image, numpy array, torch tensor, torchcodec "
    "decoder, "
    "Text/Image/Audio/Video, Document, a list of these (the parts of one document), "
    "or a dict with text, image, audio, video, pdf, content or array."
)


def _has_base(value: object, package: str, name: str) -> bool:
    return any(
        base.__name__ == name and base.__module__.partition(".")[0] == package
        for base in type(value).__mro__
    )


def is_pil_image(value: object) -> bool:
    """Whether an object is a PIL image, of whichever subclass."""
    return _has_base(value, "PIL", "Image")


def decoder_modality(value: object) -> Literal["audio", "video"] | None:
    """Modality of a torchcodec decoder (or a subclass, as `datasets` has), None for the rest."""
    if _has_base(value, "torchcodec", "AudioDecoder"):
        return "audio"
    return "video" if _has_base(value, "torchcodec", "VideoDecoder") else None


def array_ndim(value: Any) -> int | None:
    """Number of dimensions of a numpy array or torch tensor of numbers, None for the rest."""
    if isinstance(value, np.ndarray):
        return value.ndim if value.dtype.kind in "buif" else None
    return int(value.ndim) if _has_base(value, "torch", "Tensor") else None


def as_binary(value: object, where: str) -> bytes | None:
    """The bytes of a bytes-like object, None for the rest. Raises InputError where it is empty."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        return None
    if not len(value):
        raise InputError(
            f"{where}: empty bytes hold no picture, sound or clip. For an empty text pass ''."
        )
    return bytes(value)


def is_file_object(value: object) -> bool:
    """Whether an object is an open file, text or binary."""
    return isinstance(value, io.IOBase) or (has_method(value, "read") and has_method(value, "seek"))


def has_method(value: object, name: str) -> bool:
    """Whether an object has a method of that name."""
    try:
        return callable(getattr(value, name, None))
    except Exception:  # a __getattr__ of somebody else's that raises more than AttributeError
        return False


def peek(file: Any, where: str) -> bytes:
    """The first bytes of an open binary file, its position put back; empty where it cannot rewind.

    Raises UnsupportedInput for a file opened as text, AmbiguousInput for a closed one.
    """
    if isinstance(file, io.TextIOBase):
        raise UnsupportedInput(
            f"{where}: a file opened as text. Open it with mode 'rb', or pass its text: "
            f"file.read()."
        )
    try:
        if not file.seekable():
            return b""
        position = file.tell()
        head = file.read(HEAD_BYTES)
        if not head:  # just written, not rewound
            file.seek(0)
            head = file.read(HEAD_BYTES)
        file.seek(position)
    except Exception as error:  # the user's own object: it may raise anything
        raise AmbiguousInput(
            f"{where}: the file {shorten(file)} cannot be read: "
            f"{shorten(str(error), max_chars=200)}. Open it again."
        ) from error
    return bytes(head) if isinstance(head, (bytes, bytearray)) else b""


def is_media_source(value: object) -> bool:
    """Whether an object can be what Image(...), Audio(...) or Video(...) wrap."""
    return (
        isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray))
        or array_ndim(value) is not None
        or is_pil_image(value)
        or decoder_modality(value) is not None
        or is_file_object(value)
    )
