"""Pictures of one pixel and of a billion, bombs, endless animations, directories in a ring."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import partial

from PIL import Image as PilImage

from mmrerank.types import Image
from tests.fuzzing import pictures as healthy
from tests.fuzzing.crafted._kind import Crafted, broken, either, good
from tests.fuzzing.lies.pictures import jpeg_segments, patched
from tests.fuzzing.pictures import PNG_MAGIC, png_chunk
from tests.media.making import gradient, picture_bytes

__all__ = ["PICTURES"]

GREY_1_BIT, RGB_8_BIT = (1, 0), (8, 2)
_HUGE = 30_000


def one_pixel(kind: str) -> bytes:
    return picture_bytes(PilImage.new("RGB", (1, 1), (10, 200, 30)), kind)


def flat_png(width: int, height: int, depth: tuple[int, int]) -> bytes:
    """A whole PNG of zeros, deflated row by row, so that making it needs no memory."""
    bits, colour = depth
    row = bytes(1 + (width * bits * (3 if colour == 2 else 1) + 7) // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return PNG_MAGIC + b"".join(
        png_chunk(*chunk) for chunk in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )


def with_flood(name: bytes, middle: bytes) -> bytes:
    """A healthy PNG whose text or profile inflates to 300 MB."""
    packer = zlib.compressobj(9)
    flood = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    data = healthy.PICTURES["png"]()
    return data[:33] + png_chunk(name, middle + flood) + data[33:]


def claims(kind: str, width: int = _HUGE, height: int = _HUGE) -> bytes:
    """A small picture whose header says that it is large."""
    data = healthy.PICTURES[kind]()
    if kind == "png":
        header = struct.pack(">II", width, height) + data[24:29]
        return PNG_MAGIC + png_chunk(b"IHDR", header) + data[33:]
    if kind == "jpeg":
        start = next(start for marker, start, _ in jpeg_segments(data) if marker == 0xC0)
        return patched(data, start + 1, ">HH", height, width)
    if kind == "webp_animated":  # sides minus one, three bytes each
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return data[:24] + sides + data[30:]
    if kind == "avif":
        return patched(data, data.index(b"ispe") + 8, ">II", width, height)
    at, form = {"bmp": (18, "<II"), "gif": (6, "<HH")}[kind]
    return patched(data, at, form, width, height)


def tiff_of(*fields: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF of one directory with (tag, kind, count, value) fields."""
    rows = b"".join(struct.pack("<HHII", *field) for field in fields)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + rows + struct.pack("<I", following)


def tiff_claims(width: int, height: int, following: int = 0) -> bytes:
    sizes = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    strip = [(262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64)]
    return tiff_of(*sizes, *strip, following=following) + bytes(64)


def gif_of(num_frames: int, side: int = 4) -> bytes:
    """A GIF of small frames, written without pillow: ten thousand of them take no time."""
    one = picture_bytes(PilImage.linear_gradient("L").resize((4, 4)).quantize(4), "GIF")
    start = one.index(b",\0\0\0\0\4\0\4\0")
    frame = b"!\xf9\4\0\1\0\0\0," + struct.pack("<HHHH", 0, 0, side, side) + one[start + 9 : -1]
    return one[:start] + frame * num_frames + b";"


def apng_of(num_frames: int) -> bytes:
    """An animated PNG that says and holds so many frames of one pixel."""
    pixel = zlib.compress(b"\0\1\2\3")

    def frames() -> Iterator[bytes]:
        for place in range(num_frames):
            control = struct.pack(">IIIIIHHBB", max(0, 2 * place - 1), 1, 1, 0, 0, 1, 10, 0, 0)
            yield png_chunk(b"fcTL", control)
            yield (
                png_chunk(b"fdAT", struct.pack(">I", 2 * place) + pixel)
                if place
                else png_chunk(b"IDAT", pixel)
            )

    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    counts = png_chunk(b"acTL", struct.pack(">II", num_frames, 0))
    return PNG_MAGIC + header + counts + b"".join(frames()) + png_chunk(b"IEND", b"")


def many_scans(num_scans: int) -> bytes:
    """A progressive JPEG of 2,000 x 2,000 px that refines the same coefficients over and over."""
    data = picture_bytes(gradient(2_000, 2_000), "JPEG", progressive=True, quality=10)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * num_scans + data[-2:]


def exif_of(body: bytes) -> bytes:
    data = healthy.PICTURES["jpeg"]()
    garbage = b"Exif\0\0" + body
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(garbage) + 2) + garbage + data[2:]


PICTURES: dict[str, Crafted] = {
    **{
        f"{kind.lower()}_1x1": good(Image, partial(one_pixel, kind))
        for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF")
    },
    **{
        f"{kind}_claims_30000x30000": broken(Image, partial(claims, kind))
        for kind in ("png", "jpeg", "gif", "bmp", "avif")
    },
    "webp_claims_16384x16384": broken(Image, partial(claims, "webp_animated", 16_384, 16_384)),
    "tiff_claims_30000x30000": broken(Image, partial(tiff_claims, _HUGE, _HUGE)),
    "tiff_claims_4_billion": broken(Image, partial(tiff_claims, 0xFFFF_FFFF, 0xFFFF_FFFF)),
    "png_claims_9000x9000": broken(Image, partial(claims, "png", 9_000, 9_000)),
    "png_30000x30000": broken(Image, partial(flat_png, _HUGE, _HUGE, GREY_1_BIT)),
    "png_7000x7000_in_150_kB": either(Image, partial(flat_png, 7_000, 7_000, RGB_8_BIT)),
    "png_1x1000000": good(Image, partial(flat_png, 1, 1_000_000, GREY_1_BIT)),
    "png_1000000x1": good(Image, partial(flat_png, 1_000_000, 1, GREY_1_BIT)),
    "png_text_of_300_MB": either(Image, partial(with_flood, b"zTXt", b"k\0\0")),
    "png_international_text_of_300_MB": either(Image, partial(with_flood, b"iTXt", b"k\0\1\0\0\0")),
    "png_profile_of_300_MB": either(Image, partial(with_flood, b"iCCP", b"k\0\0")),
    "gif_10000_frames": good(Image, partial(gif_of, 10_000)),
    "gif_frame_larger_than_screen": either(Image, partial(gif_of, 1, 60_000)),
    "gif_no_frames": broken(Image, partial(gif_of, 0)),
    "apng_10000_frames": good(Image, partial(apng_of, 10_000)),
    "jpeg_1000_scans": either(Image, partial(many_scans, 1_000)),
    "jpeg_broken_exif": good(Image, partial(exif_of, b"MM\0*\xff\xff\xff\xff" + bytes(20))),
    "jpeg_exif_of_other_bytes": good(Image, partial(exif_of, b"\xff" * 500)),
    "jpeg_exif_in_a_ring": good(
        Image, partial(exif_of, b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0")
    ),
    "tiff_in_a_ring": either(Image, partial(tiff_claims, 8, 8, following=8)),
    "tiff_no_fields": broken(Image, tiff_of),
    "tiff_field_of_4_GB": broken(Image, partial(tiff_of, (256, 4, 0xFFFF_FFFF, 8))),
}
