"""What an MP4's index claims, looked at before FFmpeg makes room for it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

from mmrerank.errors import MediaUnreadable
from mmrerank.media.encoded import Encoded, as_file

__all__ = ["check_sample_counts"]

# Boxes that lead to the two that count samples. Source: ISO/IEC 14496-12, 8.7.3 and 8.8.8.
_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"})
_COUNT_AT = {b"trun": 4, b"stsz": 8, b"stz2": 8}  # bytes from the start of the box's body


def check_sample_counts(data: Encoded) -> None:
    """Raises MediaUnreadable where the index claims more samples than the file has bytes.

    FFmpeg reserves some 24 bytes for each: a file of two kilobytes could take a gigabyte.
    """
    file = as_file(data)
    num_bytes = file.seek(0, io.SEEK_END)
    claimed = sum(_counts(file, 0, num_bytes))
    if claimed > num_bytes:
        raise MediaUnreadable(
            f"it is damaged: its index claims {claimed:,} samples, it has {num_bytes:,} bytes."
        )


def _counts(file: BinaryIO, start: int, end: int) -> Iterator[int]:
    waiting = [(start, end)]
    while waiting:
        start, end = waiting.pop()
        for kind, body, after in _boxes(file, start, end):
            if kind in _CONTAINERS:
                waiting.append((body, after))
            elif kind in _COUNT_AT:
                file.seek(body + _COUNT_AT[kind])
                yield int.from_bytes(file.read(4), "big")


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the body and end of each box in a range, up to the first impossible one."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(16)
        size, body = int.from_bytes(header[:4], "big"), start + 8
        if size == 1:  # the size follows in 64 bits
            size, body = int.from_bytes(header[8:16], "big"), start + 16
        after = end if size == 0 else start + size
        if after < body:
            return
        yield header[4:8], body, min(after, end)
        start = after
