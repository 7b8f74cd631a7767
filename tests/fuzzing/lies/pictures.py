"""Picture files whose headers lie, while everything else, checksums included, stays right."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from random import Random

from tests.fuzzing.mutations import edge_integer
from tests.fuzzing.pictures import PNG_MAGIC, png_chunk

__all__ = ["lie_bmp", "lie_gif", "lie_jpeg", "lie_pdf", "lie_png", "lie_tiff", "lie_webp"]

_SIDES = (0, 1, 2, 13, 255, 4_000, 30_000, 65_535, 1 << 24, 0x7FFF_FFFF, 0xFFFF_FFFF)


def patched(data: bytes, start: int, form: str, *values: int) -> bytes:
    """Bytes with packed integers written over them, each cut to its width."""
    sizes = [struct.calcsize(form[0] + letter) for letter in form[1:]]
    fitting = [value & ((1 << 8 * size) - 1) for value, size in zip(values, sizes, strict=True)]
    written = struct.pack(form, *fitting)
    return data[:start] + written + data[start + len(written) :]


def side(chance: Random) -> int:
    return chance.choice(_SIDES)


# ---------------------------------------------------------------- PNG


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def lie_png(data: bytes, chance: Random) -> bytes:
    """Sizes, depths and counts with right checksums; text and profiles that inflate to 100 MB."""
    chunks = list(png_chunks(data))
    header = chunks[0][1]
    kind = chance.randrange(8)
    if kind == 0:
        header = patched(header, 0, ">II", side(chance), side(chance))
    elif kind == 1:
        header = patched(header, chance.choice((0, 4)), ">I", side(chance))
    elif kind == 2:
        header = patched(header, chance.randrange(8, 13), ">B", chance.choice((0, 1, 2, 3, 6, 255)))
    chunks[0] = (chunks[0][0], header)
    if kind == 3:
        flood = zlib.compress(bytes(chance.choice((1_000, 2_000_000, 100_000_000))), 1)
        name = chance.choice((b"zTXt", b"iCCP", b"iTXt"))
        middle = b"k\0\1\0\0\0" if name == b"iTXt" else b"k\0\0"
        chunks.insert(1, (name, middle + flood))
    elif kind == 4:
        chunks.insert(chance.randrange(len(chunks) + 1), chance.choice(chunks))
    elif kind == 5:
        chunks.pop(chance.randrange(len(chunks)))
    elif kind == 6:
        counts = struct.pack(">II", edge_integer(chance), edge_integer(chance))
        chunks.insert(1, (b"acTL", counts))
    elif kind == 7:
        place = chance.randrange(len(chunks))
        name, body = chunks[place]
        at = chance.randrange(len(body)) if body else 0
        chunks[place] = (name, patched(body, at, ">I", edge_integer(chance))[: len(body)])
    return PNG_MAGIC + b"".join(png_chunk(name, body) for name, body in chunks)


# ---------------------------------------------------------------- JPEG


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start of its body, length of it) up to the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, (length,) = data[at + 1], struct.unpack_from(">H", data, at + 2)
        yield marker, at + 4, length - 2
        if marker == 0xDA:
            return
        at += 2 + length


def lie_jpeg(data: bytes, chance: Random) -> bytes:
    """Sizes, sampling, tables, restart intervals, broken EXIF, a hundred times the same scan."""
    segments = list(jpeg_segments(data))
    frame = next(start for marker, start, _ in segments if 0xC0 <= marker <= 0xC2)
    scan = segments[-1][1] - 4
    kind = chance.randrange(7)
    if kind == 0:
        return patched(data, frame + 1, ">HH", side(chance), side(chance))
    if kind == 1:
        return patched(data, frame, ">B", chance.choice((1, 2, 12, 16, 255)))
    if kind == 2:
        return patched(data, frame + 5 + chance.randrange(8), ">B", chance.randrange(256))
    if kind == 3:
        return data[:scan] + data[scan:-2] * chance.choice((2, 100, 2_000)) + data[-2:]
    if kind == 4:
        return data[:scan] + b"\xff\xdd\0\4" + chance.randbytes(2) + data[scan:]
    if kind == 5:
        garbage = b"Exif\0\0" + chance.choice((b"MM\0*", b"II*\0")) + chance.randbytes(60)
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(garbage) + 2) + garbage + data[2:]
    _, start, length = chance.choice(segments)
    return patched(data, start + chance.randrange(max(1, length)), ">H", edge_integer(chance, 2))


# ---------------------------------------------------------------- GIF, WebP, BMP


def lie_gif(data: bytes, chance: Random) -> bytes:
    """Sizes of the screen and of frames, flags of colour tables, code sizes."""
    frames = [match.start() for match in re.finditer(rb",.{4}", data, re.DOTALL)] or [13]
    kind = chance.randrange(4)
    if kind == 0:
        return patched(data, 6, "<HH", side(chance), side(chance))
    if kind == 1:
        return patched(data, 10, "<B", chance.randrange(256))
    if kind == 2:
        return patched(data, chance.choice(frames) + 1 + chance.choice((0, 4)), "<HH", 1, 65_535)
    start = chance.choice(frames) + 9
    return patched(data, start + chance.randrange(3), "<B", chance.randrange(256))


def lie_webp(data: bytes, chance: Random) -> bytes:
    """Canvas, sizes of frames and chunks."""
    names = (b"VP8X", b"VP8 ", b"VP8L", b"ANMF", b"ANIM", b"ALPH", b"RIFF")
    starts = [match.start() for name in names for match in re.finditer(re.escape(name), data)]
    start = chance.choice(starts)
    offset = chance.choice((4, 8, 12, 14, 16, 18))
    return patched(data, start + offset, chance.choice(("<I", "<H")), edge_integer(chance))


_BMP_FIELDS = ((26, "<H"), (28, "<H"), *((at, "<I") for at in (10, 14, 18, 22, 30, 34, 46, 50)))


def lie_bmp(data: bytes, chance: Random) -> bytes:
    """Sizes (negative ones too), depths, compression, offsets, numbers of colours."""
    for _ in range(chance.choice((1, 1, 2))):
        at, form = chance.choice(_BMP_FIELDS)
        data = patched(data, at, form, chance.choice((side(chance), edge_integer(chance))))
    return data


# ---------------------------------------------------------------- TIFF


def lie_tiff(data: bytes, chance: Random) -> bytes:
    """A field's kind, count or value; a directory that is its own next one."""
    order = "<" if data[:2] == b"II" else ">"
    if 43 in data[2:4]:  # BigTIFF: offsets of eight bytes, fields of twenty
        return patched(data, chance.randrange(4, len(data) - 8), order + "I", edge_integer(chance))
    (at,) = struct.unpack_from(order + "I", data, 4)
    (num_fields,) = struct.unpack_from(order + "H", data, at)
    field = at + 2 + 12 * chance.randrange(num_fields)
    kind = chance.randrange(6)
    if kind == 0:
        return patched(data, at + 2 + 12 * num_fields, order + "I", at)
    if kind == 1:
        return patched(data, at, order + "H", edge_integer(chance, 2))
    if kind == 2:
        return patched(data, field + 2, order + "H", chance.randrange(20))
    if kind == 3:
        return patched(data, field + 4, order + "I", edge_integer(chance))
    if kind == 4:
        return patched(data, field, order + "H", chance.choice((256, 257, 258, 259, 273, 277, 278)))
    return patched(
        data, field + 8, order + "I", chance.choice((side(chance), edge_integer(chance)))
    )


# ---------------------------------------------------------------- PDF


def lie_pdf(data: bytes, chance: Random) -> bytes:
    """One number replaced: a page's size, a length, a count, an object that names itself."""
    if chance.random() < 0.3:
        box = chance.choice(
            (b"0 0 14400 1", b"0 0 1 14400", b"0 0 1e9 1e9", b"0 0 0 0", b"5 5 1 1")
        )
        return re.sub(rb"MediaBox \[[^]]*\]", b"MediaBox [" + box + b"]", data)
    numbers = list(re.finditer(rb"(?<![\d.])\d{1,6}(?![\d.])", data))
    chosen = chance.choice(numbers)
    value = str(chance.choice((edge_integer(chance), chance.randrange(12), -1))).encode()
    return data[: chosen.start()] + value + data[chosen.end() :]
