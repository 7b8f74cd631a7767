"""The value under a modality's key, as in {"image": value} → parts. The key says what it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mmrerank.errors import InputError, UnsupportedInput, shorten
from mmrerank.inputs._keys import refuse_unknown_keys
from mmrerank.inputs._scalars import Place, kind_of_path
from mmrerank.inputs.modality import (
    decode_base64,
    decode_base64_medium,
    is_data_uri,
    modality_of_string,
    scheme_of,
)
from mmrerank.inputs.recognise import (
    array_ndim,
    as_binary,
    decoder_modality,
    is_media_source,
    is_pil_image,
)
from mmrerank.inputs.sniff import HEAD_BYTES, sniff_bytes
from mmrerank.types import Audio, Image, Part, Text, Video

__all__ = ["parts_of_value", "pdf_pages"]

_MEDIA_PARTS: dict[str, type[Image | Audio | Video]] = {
    "image": Image,
    "audio": Audio,
    "video": Video,
}


def parts_of_value(modality: str, value: Any, place: Place) -> list[Part]:
    """Parts of one modality: one value, a list of several, or None for none.

    A list of pictures under "video" is one clip, a list of numbers under "audio" one sound.
    """
    if value is None:
        return []
    if modality == "video" and is_frame_list(value):
        return [Video(_sources_of_frames(value))]
    if modality == "audio" and _is_number_list(value):
        return [Audio(np.asarray(value, dtype=np.float32))]
    if isinstance(value, (list, tuple)):
        if modality == "video" and any(isinstance(item, (list, tuple)) for item in value):
            return [
                part
                for i, item in enumerate(value)
                for part in parts_of_value(modality, item, place.under(f"[{i}]"))
            ]
        return [
            _part_of_value(modality, item, place.under(f"[{i}]")) for i, item in enumerate(value)
        ]
    return [_part_of_value(modality, value, place)]


def _part_of_value(modality: str, value: Any, place: Place) -> Part:
    if modality == "text":
        return _text_of(value, place)
    part_type = _MEDIA_PARTS[modality]
    if isinstance(value, part_type):
        return value
    if isinstance(value, Mapping):
        return _part_of_nested(modality, value, place)
    if not is_media_source(value) or not _fits(modality, value):
        raise UnsupportedInput(
            f"{place.where}: {type(value).__name__} {shorten(value)} is no source of {modality}. "
            f"Expected a path, "
            "URL, data URI, bytes, binary file, array or decoder"
            + (", or a PIL image." if modality == "image" else ".")
        )
    return part_type(_plain_source(value, place))


def _text_of(value: Any, place: Place) -> Text:
    if isinstance(value, Text):
        return value
    if isinstance(value, str):
        return Text(str(value))
    raise UnsupportedInput(
        f"{place.where}: text is a str, got {type(value).__name__} {shorten(value)}."
    )


def _fits(modality: str, value: Any) -> bool:
    """Whether an object whose class tells its modality stands under its own key."""
    if is_pil_image(value):
        return modality == "image"
    return decoder_modality(value) in (None, modality)


def _plain_source(value: Any, place: Place) -> Any:
    if (data := as_binary(value, place.where)) is not None:
        return data
    if isinstance(value, str):
        if not value.strip():
            raise InputError(f"{place.where}: an empty string is no path or URL.")
        data = decode_base64_medium(value)
        return str(value) if data is None else data
    return value


# ---------------------------------------------------------------- nested dicts


def _part_of_nested(modality: str, value: Mapping[str, Any], place: Place) -> Part:
    for key, read in _NESTED_FORMS.items():
        if key in value:
            return read(modality, value, place)
    refuse_unknown_keys(value, _NESTED_FORMS, place.where)
    raise InputError(f"{place.where}: an empty dict. Known keys: {', '.join(_NESTED_FORMS)}.")


def _nested_array(modality: str, value: Mapping[str, Any], place: Place) -> Part:
    array = value["array"]
    if modality == "audio":
        refuse_unknown_keys(value, ("array", "sampling_rate", "path"), place.where)
        samples = np.asarray(array, dtype=np.float32) if _is_number_list(array) else array
        return Audio(samples, sampling_rate=_sampling_rate(value.get("sampling_rate"), place))
    if modality == "video":
        refuse_unknown_keys(value, ("array", "video_metadata", "path"), place.where)
        frames = _sources_of_frames(array) if is_frame_list(array) else array
        return Video(frames, metadata=_video_metadata(value.get("video_metadata"), place))
    refuse_unknown_keys(value, ("array", "path"), place.where)
    return Image(array)


def _sampling_rate(value: Any, place: Place) -> int | None:
    if value is None:
        return None
    try:
        rate = int(value)
    except (TypeError, ValueError):
        rate = 0
    if rate <= 0:
        raise InputError(
            f"{place.where}: sampling_rate={shorten(value)}; expected a number of samples per "
            f"second."
        )
    return rate


def _video_metadata(value: Any, place: Place) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):  # transformers' VideoMetadata is a Mapping as well
        raise InputError(f"{place.where}: video_metadata is a dict, got {type(value).__name__}.")
    return {key: value[key] for key in value if value[key] is not None}


def _nested_stored(modality: str, value: Mapping[str, Any], place: Place) -> Part:
    refuse_unknown_keys(value, ("bytes", "path"), place.where)
    data = value.get("bytes")
    return _part_of_value(modality, value.get("path") if data is None else data, place)


def _nested_url(modality: str, value: Mapping[str, Any], place: Place) -> Part:
    refuse_unknown_keys(value, ("url", "detail"), place.where)
    return _part_of_value(modality, value["url"], place.under(".url"))


def _nested_base64(modality: str, value: Mapping[str, Any], place: Place) -> Part:
    """{"data": base64, "format": "wav"} in OpenAI's form, {"base64": …} in transformers'."""
    key = "data" if "data" in value else "base64"
    refuse_unknown_keys(value, (key, "format"), place.where)
    text = value[key]
    if isinstance(text, str) and not is_data_uri(text) and scheme_of(text) is None:
        try:
            text = decode_base64(text)
        except ValueError as error:
            raise InputError(f"{place.where}.{key}: {shorten(text)}: {error}.") from error
    return _part_of_value(modality, text, place.under(f".{key}"))


def _nested_pdf(modality: str, value: Mapping[str, Any], place: Place) -> Part:
    refuse_unknown_keys(value, ("pdf", "page"), place.where)
    pages = pdf_pages(value["pdf"], value.get("page"), place)
    if modality != "image" or len(pages) != 1:
        raise InputError(
            f'{place.where}: one page of a PDF is {{"image": {{"pdf": source, "page": 1}}}}.'
        )
    return pages[0]


# The first key found says which form a nested dict has.
_NESTED_FORMS: dict[str, Callable[[str, Mapping[str, Any], Place], Part]] = {
    "array": _nested_array,
    "url": _nested_url,
    "bytes": _nested_stored,
    "path": _nested_stored,
    "data": _nested_base64,
    "base64": _nested_base64,
    "pdf": _nested_pdf,
}


def pdf_pages(value: Any, page: Any, place: Place) -> list[Image]:
    """Pages of a PDF as pictures; `page` counts from 1, is a list, or None for the only page."""
    pages = list(page) if isinstance(page, (list, tuple)) else [page]
    for number in pages:
        if number is not None and (not isinstance(number, (int, np.integer)) or number < 1):
            raise InputError(f"{place.where}: page={shorten(number)}; pages are counted from 1.")
    sources = parts_of_value("image", value, place)
    if not all(isinstance(part, Image) and part.page is None for part in sources):
        raise InputError(f"{place.where}: the page is named twice.")
    numbers = [None if number is None else int(number) for number in pages]
    return [
        Image(part.source, page=number)
        for part in sources
        for number in numbers
        if isinstance(part, Image)
    ]


# ---------------------------------------------------------------- lists that are one medium


def is_frame_list(value: Any) -> bool:
    """Whether a list can only be the frames of one clip: every item is a picture."""
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(_is_frame(item) for item in value)
    )


def _is_frame(item: Any) -> bool:
    if isinstance(item, Image) or is_pil_image(item):
        return True
    if isinstance(item, str):
        return modality_of_string(item) == "image"
    if isinstance(item, os.PathLike):
        return kind_of_path(item) == "image"
    if isinstance(item, (bytes, bytearray)):
        return sniff_bytes(bytes(item[:HEAD_BYTES])) == "image"
    return array_ndim(item) in (2, 3)


def _sources_of_frames(frames: Sequence[Any]) -> list[Any]:
    return [frame.source if isinstance(frame, Image) else frame for frame in frames]


def _is_number_list(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value)
    )
