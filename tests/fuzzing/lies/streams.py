"""Sounds and clips whose headers lie, while their containers stay readable."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterator
from random import Random

from tests.fuzzing.lies.pictures import patched
from tests.fuzzing.mutations import edge_integer

__all__ = ["lie_boxes", "lie_flac", "lie_frames", "lie_matroska", "lie_ogg", "lie_riff", "lie_ts"]

# ---------------------------------------------------------------- MP4, MOV, M4A, AVIF

_CONTAINERS = frozenset(
    b"moov trak mdia minf stbl dinf edts mvex moof traf iprp ipco udta jp2h".split()
)
_FIELDS = frozenset(
    b"mvhd tkhd mdhd stts ctts stsc stsz stco stss elst stsd ispe pitm iloc iinf tfhd trun tfdt "
    b"hdlr dref ihdr colr".split()
)


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, size) of each box, those inside others too."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        size = end - start if size < 8 or start + size > end else size
        yield name, start, size
        if name in _CONTAINERS:
            yield from boxes(data, start + 8, start + size)
        elif name == b"meta":
            yield from boxes(data, start + 12, start + size)
        start += size


def lie_boxes(data: bytes, chance: Random) -> bytes:
    """Sizes of boxes, counts and sizes in tables, times and sides in headers."""
    found = list(boxes(data, 0, len(data)))
    told = [box for box in found if box[0] in _FIELDS] or found
    if chance.random() < 0.2:
        _, start, size = chance.choice(found)
        return patched(data, start, ">I", chance.choice((0, 1, 7, size - 1, size * 2, 0xFFFF_FFFF)))
    for _ in range(chance.choice((1, 1, 2, 4))):
        _, start, size = chance.choice(told)
        words = max(1, (size - 8) // 4)
        at = start + 8 + 4 * min(chance.randrange(words), chance.randrange(words))
        data = patched(data, at, ">I", edge_integer(chance))[: len(data)]
    return data


# ---------------------------------------------------------------- WAV, AVI, AIFF


def lie_riff(data: bytes, chance: Random) -> bytes:
    """Sizes of chunks, and every field of the format chunks."""
    names = {b"RIFF": 4, b"fmt ": 24, b"data": 8, b"avih": 64, b"strh": 64, b"strf": 48}
    names |= {b"FORM": 8, b"COMM": 26, b"SSND": 16, b"LIST": 8, b"idx1": 40}
    starts = [(m.start(), span) for n, span in names.items() for m in re.finditer(n, data)]
    order = ">" if data[:4] == b"FORM" else "<"
    for _ in range(chance.choice((1, 1, 2))):
        start, span = chance.choice(starts)
        form = order + chance.choice("HI")
        at = start + 4 + 2 * chance.randrange(span // 2)
        data = patched(data, at, form, edge_integer(chance))[: len(data)]
    return data


# ---------------------------------------------------------------- FLAC, Ogg


def lie_flac(data: bytes, chance: Random) -> bytes:
    """The stream's rate, channels, bits and samples (20 + 3 + 5 + 36 bits), and block lengths."""
    kind = chance.randrange(4)
    if kind == 0:
        return patched(data, 18, ">Q", chance.getrandbits(64))
    if kind == 1:
        (fields,) = struct.unpack_from(">Q", data, 18)
        rate_hz = chance.choice((0, 1, 7_999, 655_350, (1 << 20) - 1))
        return patched(data, 18, ">Q", fields & ((1 << 44) - 1) | rate_hz << 44)
    if kind == 2:
        (fields,) = struct.unpack_from(">Q", data, 18)
        return patched(data, 18, ">Q", fields | (1 << 36) - 1)
    return patched(data, chance.choice((4, 8, 10, 12, 42, 43, 46)), ">H", edge_integer(chance, 2))


@functools.cache
def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)
        table.append(value & 0xFFFF_FFFF)
    return table


def ogg_page_with_crc(page: bytes) -> bytes:
    """A page with the checksum that its bytes ask for."""
    page, crc = patched(page, 22, "<I", 0), 0
    for byte in page:
        crc = (crc << 8 & 0xFFFF_FFFF) ^ _crc_table()[crc >> 24 ^ byte]
    return patched(page, 22, "<I", crc)


def lie_ogg(data: bytes, chance: Random) -> bytes:
    """Positions, numbers and header packets; the checksum of the changed page is made right."""
    starts = [match.start() for match in re.finditer(b"OggS", data)] + [len(data)]
    place = min(chance.randrange(len(starts) - 1), chance.randrange(len(starts) - 1))
    page = data[starts[place] : starts[place + 1]]
    header = 27 + page[26]
    if chance.random() < 0.3:
        page = patched(page, 6, "<Q", chance.choice((0, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)))
    else:
        at = header + chance.randrange(max(1, min(40, len(page) - header)))
        page = patched(page, at, chance.choice(("<B", "<H", "<I")), edge_integer(chance))
    page = ogg_page_with_crc(page)
    return data[: starts[place]] + page + data[starts[place + 1] :]


# ---------------------------------------------------------------- Matroska, MPEG, ASF, FLV

# PixelWidth, PixelHeight, Duration, TimestampScale, SamplingFrequency, Channels, DefaultDuration,
# CodecPrivate, SimpleBlock, Cluster, DisplayWidth, DisplayHeight.
_ELEMENTS = (b"\xb0", b"\xba", b"\x44\x89", b"\x2a\xd7\xb1", b"\xb5", b"\x9f", b"\x23\xe3\x83")
_LATER = (b"\x63\xa2", b"\xa3", b"\x1f\x43\xb6\x75", b"\x54\xb0", b"\x54\xba")


def lie_matroska(data: bytes, chance: Random) -> bytes:
    """The value or the length of one element."""
    spots = [
        (match.end(), 1 + (data[match.end() : match.end() + 1] < b"\x80"))
        for name in (*_ELEMENTS, *_LATER)
        for match in re.finditer(re.escape(name), data[:-9])
    ]
    at, length_bytes = chance.choice(spots)
    if chance.random() < 0.3:
        return patched(data, at, ">B", chance.choice((0x80, 0xFF, 0x01, 0x40, 0x88)))
    form = chance.choice((">B", ">H", ">I", ">Q"))
    return patched(data, at + length_bytes, form, edge_integer(chance, 8))[: len(data)]


def lie_ts(data: bytes, chance: Random) -> bytes:
    """Header bits of a few packets of a transport stream, or of a program stream's start codes."""
    step = 188 if data[:1] == b"G" else 1
    starts = list(range(0, len(data) - 16, step))
    if step == 1:
        starts = [m.start() for m in re.finditer(b"\0\0\1", data[:-16])] or [0]
    found = bytearray(data)
    for _ in range(chance.choice((1, 3, 10))):
        found[chance.choice(starts) + chance.randrange(1, 14)] = chance.randrange(256)
    return bytes(found)


def lie_frames(data: bytes, chance: Random) -> bytes:
    """For formats without tables (MP3, AAC, AMR, FLV, ASF): edges in the first hundred bytes."""
    for _ in range(chance.choice((1, 2, 4))):
        at = chance.randrange(min(len(data), 160))
        form = chance.choice(("<H", "<I", ">H", ">I", "<Q"))
        data = patched(data, at, form, edge_integer(chance, 8))
    return data
