"""Which documents are the same one, when they may be texts, pictures, arrays, dicts or mixes."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage

from mmrerank.types import Audio, Document, Image, Text, Video

__all__ = ["document_key", "listed"]


def document_key(document: Any) -> Hashable:
    """Equal for documents of equal content: what `==` says of texts, also for media and mixes.

    An object that cannot be compared by what it holds, such as an open file, is equal to itself.
    """
    if isinstance(document, str):  # the common case first
        return document
    if isinstance(document, Mapping):
        return "dict", frozenset((key, document_key(value)) for key, value in document.items())
    if isinstance(document, (list, tuple)):
        return "list", tuple(document_key(part) for part in document)
    if isinstance(document, Document):
        return "parts", tuple(document_key(part) for part in document)
    if isinstance(document, (Text, Image, Audio, Video)):
        return document.modality, document_key(document.value)
    if isinstance(document, (np.ndarray, torch.Tensor, PILImage.Image)):
        return _content_key(document)
    try:
        hash(document)
    except TypeError:
        return type(document).__name__, id(document)
    return type(document).__name__, document


def _content_key(medium: Any) -> Hashable:
    array = medium.detach().cpu() if isinstance(medium, torch.Tensor) else medium
    array = np.ascontiguousarray(array)
    digest = hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()
    return type(medium).__name__, array.shape, str(array.dtype), digest


def listed(documents: Any) -> list[Any]:
    """Documents as a list; one document, of whatever kind, is a list of one."""
    if isinstance(documents, (list, tuple)):
        return list(documents)
    # A column of `datasets` is a sequence as well, and none of these.
    is_column = isinstance(documents, Sequence) and not isinstance(documents, (str, bytes))
    return list(documents) if is_column else [documents]
