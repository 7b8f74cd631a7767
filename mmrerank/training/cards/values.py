"""What values of a dataset are, in a few words; media are described and never written out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from mmrerank.inputs import modality_of_string
from mmrerank.inputs.modality import is_data_uri, scheme_of, shown_url
from mmrerank.inputs.recognise import array_ndim, decoder_modality, is_pil_image

__all__ = ["kind_of", "shown_value"]

_MODALITIES = ("text", "image", "audio", "video", "pdf")


def kind_of(value: Any) -> str:
    """ "text", "image", "image + text", "list of text", "number", …"""
    if isinstance(value, str):
        return modality_of_string(value) or "link"
    if isinstance(value, (bool, int, float)):
        return "number"
    if is_pil_image(value):
        return "image"
    if (modality := decoder_modality(value)) is not None:
        return modality
    if isinstance(value, Mapping):
        return _kind_of_dict(value)
    if isinstance(value, (list, tuple)):
        inner = sorted({kind_of(item) for item in value})
        return f"list of {' or '.join(inner)}" if inner else "list"
    if isinstance(value, os.PathLike):
        return kind_of(os.fspath(value))
    return "array" if array_ndim(value) is not None else type(value).__name__


def _kind_of_dict(value: Mapping[str, Any]) -> str:
    if "content" in value:
        inner = kind_of(value["content"]).removeprefix("list of ")
        return inner.replace(" or ", " + ")
    if "type" in value:
        return str(value["type"])
    if "bytes" in value or "path" in value:
        path = value.get("path")
        kind = modality_of_string(path) if isinstance(path, str) else None
        return "media" if kind is None or kind == "text" else kind
    if "array" in value:
        return "audio" if "sampling_rate" in value else "video"
    present = [name for name in _MODALITIES if value.get(name) is not None]
    return " + ".join(present) if present else "dict"


def shown_value(value: Any) -> str:
    """A value as a sample in a card: texts as they are, media by kind, size and file name."""
    if isinstance(value, str):
        return _shown_text(value)
    if isinstance(value, Mapping):
        return _shown_dict(value)
    if isinstance(value, (list, tuple)):
        more = ", …" if len(value) > 5 else ""
        return f"[{', '.join(shown_value(item) for item in value[:5])}{more}]"
    if is_pil_image(value):
        return f"<image {value.width}x{value.height} px>"
    if (modality := decoder_modality(value)) is not None:
        seconds = value.metadata.duration_seconds
        return f"<{modality}>" if seconds is None else f"<{modality} {seconds:.1f} s>"
    if isinstance(value, os.PathLike):
        return _shown_text(os.fspath(value))
    if isinstance(value, (bool, int, float)) or value is None:
        return str(value)
    return f"<{kind_of(value)}>"


def _shown_text(value: str) -> str:
    kind = modality_of_string(value)
    if kind == "text":
        return value
    if is_data_uri(value):
        return f"<{kind or 'data'}>"
    if scheme_of(value) is not None:
        return f"<{kind or 'link'} {shown_url(value)}>"
    # The name alone: where it lies is of no use to others and tells of the machine.
    name = PurePath(value.replace("\\", "/")).name
    return f"<{kind} {name}>" if len(name) < 100 else f"<{kind}>"


def _shown_dict(value: Mapping[str, Any]) -> str:
    if "content" in value:
        return shown_value(value["content"])
    if "array" in value:
        return f"<{_kind_of_dict(value)}>"
    if "bytes" in value or "path" in value:
        path = value.get("path")
        return _shown_text(path) if isinstance(path, str) and path else "<media>"
    shown = []
    for name, item in value.items():
        if name == "text" and isinstance(item, str):
            shown.append(item)
        elif name in _MODALITIES and item is not None:
            shown.append(_shown_media(name, item))
    return " + ".join(shown) if shown else f"<{_kind_of_dict(value)}>"


def _shown_media(kind: str, item: Any) -> str:
    """A medium under its key: a name without extension still is one of that kind."""
    text = shown_value(item)
    if text.startswith(("<", "[")):
        return text
    return f"<{kind}>"
