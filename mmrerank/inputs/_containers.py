"""Lists, unified dicts and chat messages → parts, in the user's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmrerank.errors import InputError, UnsupportedInput, shorten
from mmrerank.inputs._keys import near_name, refuse_unknown_keys
from mmrerank.inputs._media_values import parts_of_value, pdf_pages
from mmrerank.inputs._scalars import Place, part_of_scalar
from mmrerank.inputs.modality import modality_of_string
from mmrerank.types import MODALITIES, Document, Part, Text

__all__ = ["is_message", "parts_of"]

_CONTENT_TYPES = {
    **{modality: modality for modality in (*MODALITIES, "pdf")},
    **{f"input_{modality}": modality for modality in MODALITIES},
    **{f"{modality}_url": modality for modality in ("image", "audio", "video")},
    "output_text": "text",
}
# Hints of chat APIs on how to bill or cache an item; they say nothing about what it shows.
_IGNORED_ITEM_KEYS = frozenset({"type", "detail", "cache_control"})


def parts_of(value: Any, place: Place) -> list[Part]:
    """Parts of one object; a list gives the parts of all its items. Raises InputError."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        value = value.tolist()
    if isinstance(value, list):
        return _parts_of_list(value, place)
    if isinstance(value, Document):
        return list(value.parts)
    if isinstance(value, Mapping):
        return _parts_of_dict(value, place)
    return [part_of_scalar(value, place)]


def _parts_of_list(values: list[Any], place: Place) -> list[Part]:
    if not values:
        raise InputError(
            f"{place.where}: an empty list has no parts. For a document without words pass ''."
        )
    parts: list[Part] = []
    for position, value in enumerate(values):
        here = place.under(f"[{position}]")
        if isinstance(value, (list, tuple)):
            raise UnsupportedInput(
                f"{here.where}: a {type(value).__name__} inside a list of parts. A list holds the "
                f"parts of one "
                'document; the frames of a clip are {"video": [frame, ...]}.'
            )
        parts.extend(parts_of(value, here))
    return parts


# ---------------------------------------------------------------- dicts


def _parts_of_dict(value: Mapping[str, Any], place: Place) -> list[Part]:
    if not value:
        raise InputError(
            f'{place.where}: an empty dict. Expected e.g. {{"text": "...", "image": "a.png"}}.'
        )
    if "role" in value:
        return _parts_of_message(value, place)
    if "type" in value:
        return _parts_of_item(value, place)
    for key, read in _DICT_FORMS.items():
        if key in value:
            return read(value, place)
    return _parts_by_modality(value, place)


def _parts_by_modality(value: Mapping[str, Any], place: Place) -> list[Part]:
    """The unified dict: its keys' order is the order of the parts; None means "there is none"."""
    known = (*MODALITIES, "pdf", "page") if "pdf" in value else (*MODALITIES, "pdf")
    refuse_unknown_keys(value, known, place.where)
    parts: list[Part] = []
    for key, item in value.items():
        if key == "pdf":
            parts.extend(pdf_pages(item, value.get("page"), place.under(".pdf")))
        elif key != "page":
            parts.extend(parts_of_value(key, item, place.under(f".{key}")))
    if not parts:
        raise InputError(
            f"{place.where}: no part in {shorten(dict(value))}; each value is None or an empty "
            f"list."
        )
    return parts


def _parts_of_content(value: Mapping[str, Any], place: Place) -> list[Part]:
    refuse_unknown_keys(value, ("content",), place.where)
    return _parts_of_message_content(value["content"], place.under(".content"))


def _parts_of_array_dict(value: Mapping[str, Any], place: Place) -> list[Part]:
    if "sampling_rate" in value:
        return parts_of_value("audio", value, place)
    if "video_metadata" in value:
        return parts_of_value("video", value, place)
    raise InputError(
        f"{place.where}: a dict with 'array' must also include 'sampling_rate' (for audio) or "
        f"'video_metadata' "
        f'(for video). Got keys: {sorted(map(str, value))}. A picture is {{"image": array}}.'
    )


def _parts_of_stored(value: Mapping[str, Any], place: Place) -> list[Part]:
    """{"bytes": …, "path": …}, as `datasets` hands out what it has not decoded."""
    refuse_unknown_keys(value, ("bytes", "path"), place.where)
    data = value.get("bytes")
    return [part_of_scalar(value.get("path") if data is None else data, place)]


def _parts_of_url(value: Mapping[str, Any], place: Place) -> list[Part]:
    refuse_unknown_keys(value, ("url",), place.where)
    url = value["url"]
    if isinstance(url, str) and modality_of_string(url) == "text":
        raise InputError(
            f"{place.where}: {shorten(url)} is no URL of a picture, sound, clip or PDF. Name its "
            f"kind: "
            '{"image": {"url": ...}}.'
        )
    return [part_of_scalar(url, Place(place.where, takes_media=True))]


# The first key found says which form a dict has.
_DICT_FORMS: dict[str, Callable[[Mapping[str, Any], Place], list[Part]]] = {
    "content": _parts_of_content,
    "array": _parts_of_array_dict,
    "bytes": _parts_of_stored,
    "path": _parts_of_stored,
    "url": _parts_of_url,
}


# ---------------------------------------------------------------- chat messages


def is_message(value: object) -> bool:
    """Whether an object is one chat message: a dict with role and content."""
    return isinstance(value, Mapping) and "role" in value and "content" in value


def _parts_of_message(value: Mapping[str, Any], place: Place) -> list[Part]:
    refuse_unknown_keys(value, ("role", "content", "name"), place.where)
    if "content" not in value:
        raise InputError(f"{place.where}: a message needs the key 'content'.")
    if value["role"] == "system":
        raise InputError(
            f"{place.where}: a query or document has no system message. Pass the instruction as "
            f"prompt=..., or "
            "give predict the messages with the roles system, query and document."
        )
    return _parts_of_message_content(value["content"], place.under(".content"))


def _parts_of_message_content(content: Any, place: Place) -> list[Part]:
    if isinstance(content, str):  # in a chat message a bare string is text, whatever it looks like
        return [Text(content)]
    if isinstance(content, tuple):
        content = list(content)
    return parts_of(content, place)


def _parts_of_item(item: Mapping[str, Any], place: Place) -> list[Part]:
    """{"type": "image", "image": …} and its relatives: image_url, input_audio, url, path, …"""
    kind = item["type"]
    modality = _CONTENT_TYPES.get(kind) if isinstance(kind, str) else None
    if modality is None:
        raise InputError(
            f"{place.where}: unknown type {shorten(kind)}{near_name(str(kind), _CONTENT_TYPES)}; "
            f"known types: {', '.join(_CONTENT_TYPES)}."
        )
    payload = {key: value for key, value in item.items() if key not in _IGNORED_ITEM_KEYS}
    names = [
        name for name in (kind, modality, f"{modality}_url", f"input_{modality}") if name in payload
    ]
    if modality == "pdf" and "pdf" in payload:
        return _parts_by_modality(payload, place)
    if not names:
        return parts_of_value(modality, payload, place)
    refuse_unknown_keys(payload, names[:1], place.where)
    return parts_of_value(modality, payload[names[0]], place.under(f".{names[0]}"))
