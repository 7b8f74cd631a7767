"""One object → one part: strings, paths, bytes, files, pictures, arrays, decoders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from mmrerank.errors import AmbiguousInput, InputError, UnsupportedInput, shorten
from mmrerank.inputs.modality import (
    decode_base64_medium,
    decode_data_uri,
    is_data_uri,
    modality_of_string,
    shown_url,
)
from mmrerank.inputs.recognise import (
    ACCEPTED,
    array_ndim,
    as_binary,
    decoder_modality,
    is_file_object,
    is_pil_image,
    peek,
)
from mmrerank.inputs.sniff import HEAD_BYTES, MediaKind, sniff_bytes
from mmrerank.types import Audio, Image, Part, Text, Video

__all__ = ["Place", "kind_of_path", "part_of_scalar", "part_of_string"]

_WRAP = "Wrap it in mmrerank.Image(...), Audio(...) or Video(...)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object stands, e.g. "documents[3].image", and whether the model takes media."""

    where: str
    takes_media: bool

    def under(self, suffix: str) -> Place:
        """The place of a member: suffix ".image" or "[2]"."""
        return Place(self.where + suffix, self.takes_media)


def part_of_scalar(value: Any, place: Place) -> Part:
    """The part that an object stands for. Raises UnsupportedInput for types that no part takes."""
    if isinstance(value, (Text, Image, Audio, Video)):
        return value
    if isinstance(value, str):
        return part_of_string(str(value), place)
    if isinstance(value, os.PathLike):
        return _part_of_path(value, place)
    if (data := as_binary(value, place.where)) is not None:
        return _part_of_kind(sniff_bytes(data[:HEAD_BYTES]), data, place)
    if is_file_object(value):
        return _part_of_file(value, place)
    if is_pil_image(value):
        return Image(value)
    if (modality := decoder_modality(value)) is not None:
        return Audio(value) if modality == "audio" else Video(value)
    if (ndim := array_ndim(value)) is not None:
        return _part_of_array(value, ndim, place)
    raise _unsupported(value, place)


def _unsupported(value: Any, place: Place) -> UnsupportedInput:
    hint = ""
    if isinstance(value, tuple):
        hint = " A tuple is a (query, document) pair; the parts of one document go into a list."
    elif hasattr(type(value), "__next__"):
        hint = " Make a list of it first."
    found = "None" if value is None else f"{type(value).__name__} {shorten(value)}"
    return UnsupportedInput(f"{place.where}: {found} is no query or document.{hint} {ACCEPTED}")


def part_of_string(text: str, place: Place) -> Part:
    """By the rule of `modality_of_string`; base64 becomes bytes, a data URI of text its text."""
    kind = modality_of_string(text, takes_media=place.takes_media)
    if kind == "text":
        return Text(_text_of_data_uri(text, place) if is_data_uri(text) else text)
    if kind is None:
        raise _ambiguous_string(text, place)
    data = decode_base64_medium(text)
    return _part_of_kind(kind, text if data is None else data, place)


def _ambiguous_string(text: str, place: Place) -> AmbiguousInput:
    if is_data_uri(text):
        return AmbiguousInput(
            f"{place.where}: the data URI {shorten(text)} is of no kind that a part takes. "
            f"{_WRAP} if it is one, or in mmrerank.Text(...) to score it as words."
        )
    return AmbiguousInput(
        f"{place.where}: the URL {shown_url(text)} could be a medium or a text. "
        f"{_WRAP} to have it loaded, or in mmrerank.Text(...) to score the URL as words."
    )


def _text_of_data_uri(uri: str, place: Place) -> str:
    params = uri.partition(",")[0].lower().split(";")[1:]
    charset = next(
        (p.removeprefix("charset=") for p in params if p.startswith("charset=")), "utf-8"
    )
    try:
        return decode_data_uri(uri).decode(charset)
    except (ValueError, LookupError) as error:
        raise InputError(
            f"{place.where}: the text of the data URI {shorten(uri)} cannot be decoded: {error}. "
            "Wrap it in mmrerank.Text(...) to score it as it stands."
        ) from error


def kind_of_path(path: os.PathLike[Any] | str) -> MediaKind | None:
    """Kind of a file by its name's extension; spaces in the name do not matter."""
    kind = modality_of_string(os.fsdecode(path).replace(" ", "_"), takes_media=False)
    return None if kind == "text" else kind


def _part_of_path(path: os.PathLike[Any], place: Place) -> Part:
    kind = kind_of_path(path)
    if kind is None:
        raise AmbiguousInput(
            f"{place.where}: the path {shorten(os.fsdecode(path))} has no extension of a picture, "
            f"sound, clip "
            f"or PDF. {_WRAP} if it is one, or read the file and pass its text."
        )
    return _part_of_kind(kind, path, place)


def _part_of_file(file: Any, place: Place) -> Part:
    kind = sniff_bytes(peek(file, place.where))
    name = getattr(file, "name", None)
    if kind is None and isinstance(name, str):
        kind = kind_of_path(name)
    return _part_of_kind(kind, file, place)


def _part_of_kind(kind: MediaKind | None, source: Any, place: Place) -> Part:
    if kind in (
        "image",
        "pdf",
    ):  # a PDF's page is a picture; the loader sees by the bytes which of them it is
        return Image(source)
    if kind == "audio":
        return Audio(source)
    if kind == "video":
        return Video(source)
    raise AmbiguousInput(
        f"{place.where}: {shorten(source)} starts like no known picture, sound, clip or PDF. "
        f"{_WRAP} if it is one; decode it to str if it is text."
    )


def _part_of_array(array: Any, ndim: int, place: Place) -> Part:
    if ndim in (1, 2):
        return Audio(array)
    if ndim == 3:
        return Image(array)
    if ndim in (4, 5):
        return Video(array)
    raise UnsupportedInput(
        f"{place.where}: an array of {ndim} dimensions. Expected 1-2 for audio, 3 for an image, "
        f"4-5 for a video."
    )
