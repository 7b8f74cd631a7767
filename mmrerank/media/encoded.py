"""A file's bytes as decoders take them: in memory, or an open file that they read as they need."""

from __future__ import annotations

import io
from contextlib import ExitStack
from typing import BinaryIO, TypeAlias, cast

from mmrerank.errors import MediaUnreadable
from mmrerank.inputs.sniff import HEAD_BYTES
from mmrerank.media.arrays import digest_of, new_digest
from mmrerank.media.content import check_format
from mmrerank.media.files import open_file, path_of_file_url
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.source import Source, read_source, source_of
from mmrerank.types import Audio, Image, Video

__all__ = ["Encoded", "Reading", "as_file", "digest_encoded", "head_of", "rewound"]

Encoded: TypeAlias = bytes | io.BufferedReader

_CHUNK_BYTES = 1 << 20


class Reading:
    """A part's source, opened when its bytes are asked for, once, and closed with the context.

    data: raises what `read_source` raises; a sound or clip on disk is not read into memory.
    """

    def __init__(self, part: Image | Audio | Video, policy: MediaPolicy) -> None:
        self._part = part
        self._policy = policy
        self._data: Encoded | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def source(self) -> Source:
        """Which kind of source it is. Raises MediaUnreadable for an object that is none."""
        return source_of(self._part.source)

    @property
    def data(self) -> Encoded:
        """The bytes of a source that has any."""
        if self._data is None:
            self._data = self._open(self.source)
        return self._data

    def _open(self, source: Source) -> Encoded:
        path = None if isinstance(self._part, Image) else _local_path(source, self._policy)
        if path is None:
            return read_source(source, self._policy)
        file = self._stack.enter_context(open_file(path, self._policy))
        if not file.read(1):
            raise MediaUnreadable("it is empty (0 bytes).")
        # Read, not mapped into memory: a map of a file that somebody cuts ends the process.
        check_format(cast(bytes, _Slices(file)), self._policy)
        return cast(io.BufferedReader, file)


def _local_path(source: Source, policy: MediaPolicy) -> str | None:
    if source.kind == "path":
        return str(source.value)
    is_file_url = source.kind == "url" and source.value[:5].lower() == "file:"
    # A scheme that the policy does not have is refused by read_source.
    return path_of_file_url(source.value) if is_file_url and "file" in policy.schemes else None


class _Slices:
    """Slices of an open file, for those who look at a few bytes of a whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __getitem__(self, part: slice) -> bytes:
        start = part.start or 0
        self._file.seek(start)
        return self._file.read(part.stop - start)


def rewound(data: Encoded) -> Encoded:
    """The bytes, or the file at its start: torchcodec's decoders take both."""
    if not isinstance(data, bytes):
        data.seek(0)
    return data


def as_file(data: Encoded) -> BinaryIO:
    """A binary file at its start."""
    data = rewound(data)
    return io.BytesIO(data) if isinstance(data, bytes) else data


def head_of(data: Encoded) -> bytes:
    """The first HEAD_BYTES bytes."""
    return data[:HEAD_BYTES] if isinstance(data, bytes) else as_file(data).read(HEAD_BYTES)


def digest_encoded(data: Encoded, options: str) -> str:
    """What `digest_of(bytes, options)` gives, of a file a little at a time."""
    if isinstance(data, bytes):
        return digest_of(data, options)
    num_bytes = data.seek(0, io.SEEK_END)
    data.seek(0)
    hasher = new_digest()
    hasher.update(f"bytes {num_bytes}".encode())
    while chunk := data.read(_CHUNK_BYTES):
        hasher.update(chunk)
    hasher.update(b"\0" + repr(options).encode() + b"\0")
    return hasher.hexdigest()
