"""Documents of a data file: its relative paths start from the file's folder, not from where one is.

They may lead out of the folder: whether a file may be read is for the MediaPolicy to say.
"""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from mmrerank.inputs.modality import is_data_uri, scheme_of
from mmrerank.types import Document, Part, Text

__all__ = ["is_path", "rebase"]


def rebase(document: Document, folder: Path) -> Document:
    """The document with its relative paths made absolute, as seen from `folder`.

    Texts, URLs, data URIs and media in memory stay as they are. Nothing is opened.
    """
    return Document(tuple(_rebased(part, folder) for part in document))


def is_path(source: Any) -> bool:
    """Whether the source of a part, as `parse_document` gives it, names a local file."""
    if isinstance(source, str):
        return scheme_of(source) is None and not is_data_uri(source)
    return isinstance(source, PathLike)


def _rebased(part: Part, folder: Path) -> Part:
    return part if isinstance(part, Text) else replace(part, source=_moved(part.source, folder))


def _moved(source: Any, folder: Path) -> Any:
    if isinstance(source, (list, tuple)):  # frames of a clip
        return [_moved(frame, folder) for frame in source]
    return str(folder / source) if is_path(source) else source
