"""What a part's source is (path, URL, bytes, array, …) and, where it has bytes, reading them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mmrerank.errors import MediaError, MediaRefused, MediaUnreadable, shorten
from mmrerank.inputs.modality import (
    decode_base64_medium,
    decode_data_uri,
    is_data_uri,
    is_youtube_url,
    scheme_of,
    shown_url,
)
from mmrerank.inputs.recognise import array_ndim, decoder_modality, has_method, is_pil_image
from mmrerank.media.content import check_format, too_many_bytes
from mmrerank.media.fetch import fetch
from mmrerank.media.files import path_of_file_url, read_file_at
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.remote import REMOTE_SCHEMES, read_remote

__all__ = ["Source", "SourceKind", "read_source", "source_of"]

SourceKind: TypeAlias = Literal[
    "path", "url", "data", "bytes", "file", "pil", "array", "decoder", "frames"
]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One source and its kind.

    shown: the source as error messages name it, shortened and without secrets.
    """

    kind: SourceKind
    value: Any
    shown: str

    @property
    def has_bytes(self) -> bool:
        """Whether `read_source` can read it."""
        return self.kind in ("path", "url", "data", "bytes", "file")


def source_of(value: Any) -> Source:
    """Which kind of source an object is. Raises MediaUnreadable for an object that is none."""
    if isinstance(value, str):
        return _source_of_string(value)
    if isinstance(value, os.PathLike):
        return _path(os.fsdecode(value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Source("bytes", value, f"{len(value):,} bytes")
    kind = _kind_of_object(value)
    if kind is None:
        raise MediaUnreadable(
            f"{type(value).__name__} {shorten(value)} is no path, URL, bytes, file, array, "
            f"picture or decoder."
        )
    return Source(kind, value, _shown_object(kind, value))


def _kind_of_object(value: Any) -> SourceKind | None:
    if is_pil_image(value):
        return "pil"
    if array_ndim(value) is not None:
        return "array"
    if decoder_modality(value) is not None:
        return "decoder"
    if isinstance(value, (list, tuple)):
        return "frames"
    return "file" if has_method(value, "read") else None


def _shown_object(kind: SourceKind, value: Any) -> str:
    if kind == "array":
        return f"array of shape {tuple(value.shape)}"
    if kind == "frames":
        return f"list of {len(value)} frames"
    if kind == "pil":
        return f"{value.mode} picture of {value.width}x{value.height} px"
    name = getattr(value, "name", None)
    return shorten(name) if isinstance(name, str) else type(value).__name__


def _source_of_string(text: str) -> Source:
    if is_data_uri(text):
        return Source("data", text, shorten(text, max_chars=40))
    scheme = scheme_of(text)
    if scheme == "file":
        return Source("url", text, shorten(text))
    if scheme is not None:
        return Source("url", text, shown_url(text))
    data = decode_base64_medium(text)
    if data is not None:
        return Source("bytes", data, f"base64 of {len(data):,} bytes")
    return _path(text)


def _path(text: str) -> Source:
    return Source("path", text, shorten(text))


# ---------------------------------------------------------------- reading


def read_source(source: Source, policy: MediaPolicy) -> bytes:
    """The bytes of a source that has any, under the policy.

    Raises MediaNotFound, MediaRefused, MediaTooLarge or MediaUnreadable; the message says why and
    what to do, the caller adds which document it was.
    """
    if source.kind == "url":
        data = _read_url(source.value, policy)
    elif source.kind == "path":
        data = read_file_at(source.value, policy)
    elif source.kind == "data":
        data = _read_data_uri(source.value, policy)
    elif source.kind == "file":
        data = _read_file(source.value, policy)
    else:
        data = bytes(source.value)
    if not data:
        raise MediaUnreadable("it is empty (0 bytes).")
    if len(data) > policy.max_bytes:
        raise too_many_bytes(len(data), policy)
    check_format(data, policy)
    return data


def _read_url(url: str, policy: MediaPolicy) -> bytes:
    scheme = scheme_of(url)
    if scheme not in policy.schemes or scheme not in _LOADED_SCHEMES:
        usable = [name for name in policy.schemes if name in (*_LOADED_SCHEMES, "data")]
        raise MediaRefused(
            f"{scheme}:// is not loaded; the policy's schemes are {', '.join(usable) or 'none'}. "
            "Read it yourself and pass the bytes, or see MediaPolicy(schemes=[...])."
        )
    if scheme == "file":
        return read_file_at(path_of_file_url(url), policy)
    if scheme in REMOTE_SCHEMES:
        return read_remote(url, policy)
    if is_youtube_url(url):
        raise MediaRefused(
            "nothing here downloads from YouTube. Save the clip yourself and pass its path, or "
            "wrap the URL in mmrerank.Text(...) to score it as words."
        )
    return fetch(url, policy)


_LOADED_SCHEMES = ("http", "https", "file", *REMOTE_SCHEMES)


def _read_data_uri(uri: str, policy: MediaPolicy) -> bytes:
    if "data" not in policy.schemes:
        raise MediaRefused(
            f"data URIs are not allowed; the policy's schemes are {', '.join(policy.schemes)}."
        )
    if len(uri) > policy.max_bytes * 4 // 3 + 1_024:  # before decoding: base64 is a third longer
        raise too_many_bytes(len(uri) * 3 // 4, policy)
    try:
        return decode_data_uri(uri)
    except ValueError as error:
        raise MediaUnreadable(f"the data URI cannot be decoded: {error}.") from error


def _read_file(file: Any, policy: MediaPolicy) -> bytes:
    """The rest of an open file; all of it where nothing is left. Its position is put back."""
    try:
        position = file.tell() if file.seekable() else None
        data = file.read(policy.max_bytes + 1)
        if not data and position:  # written a moment ago and not rewound
            file.seek(0)
            data = file.read(policy.max_bytes + 1)
        if position is not None:
            file.seek(position)
    except MediaError:
        raise
    except Exception as error:  # the user's own object: it may raise anything
        said = f"{type(error).__name__}: {shorten(str(error), max_chars=150)}"
        raise MediaUnreadable(f"the file object cannot be read: {said}.") from error
    if not isinstance(data, (bytes, bytearray)):
        raise MediaUnreadable("the file was opened as text; open it with mode 'rb'.")
    return bytes(data)
