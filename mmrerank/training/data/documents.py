"""A query or document of a data file as a plain value: relative paths made absolute, no bytes."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmrerank.inputs import modality_of_string, parse_document
from mmrerank.inputs.relative import rebase
from mmrerank.types import Document, Part, Text

__all__ = ["plain_document"]


def plain_document(
    value: Any, *, folder: Path, where: str, takes_media: bool = True
) -> str | dict[str, Any]:
    """A text as it is, else the unified input dict, fit for JSON and equal in meaning.

    folder: what relative paths start from. Nothing is opened.
    Raises InputError for what is no document, naming `where`.
    """
    parsed = parse_document(value, where=where, takes_media=takes_media)
    if len(parsed.parts) == 1 and isinstance(text := parsed.parts[0], Text):
        is_text = modality_of_string(text.text, takes_media=takes_media) == "text"
        # A text that looks like a path keeps its wrapping: a bare one would be opened.
        return text.text if is_text else {"text": text.text}
    rebased = rebase(parsed, folder)
    return Document(tuple(_plain(part) for part in rebased)).to_dict()


def _plain(part: Part) -> Part:
    return part if isinstance(part, Text) else replace(part, source=_plain_source(part.source))


def _plain_source(source: Any) -> Any:
    if isinstance(source, bytes):
        # The key says which modality it is; the first bytes say which format.
        return f"data:application/octet-stream;base64,{base64.b64encode(source).decode('ascii')}"
    return source.tolist() if isinstance(source, np.ndarray) else source
