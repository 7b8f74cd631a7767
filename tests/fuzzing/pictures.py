"""Small healthy pictures and PDFs, one of each kind that the loaders read."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from tests.media.making import gradient, picture_bytes

__all__ = ["PICTURES", "png_chunk", "png_of"]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk with its right checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(header: tuple[int, ...], rows: bytes, *others: bytes) -> bytes:
    """A PNG of (width, height, bits, colour, 0, 0, interlaced), filtered rows, and more chunks."""
    pieces = [png_chunk(b"IHDR", struct.pack(">IIBBBBB", *header)), *others]
    pieces += [png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return PNG_MAGIC + b"".join(pieces)


def interlaced_png() -> bytes:
    """Adam7, which pillow reads and does not write."""
    pixels = np.asarray(gradient(17, 13))
    rows = []
    for x, y, step_x, step_y in (*_ADAM7, (0, 1, 1, 2)):
        rows += [b"\0" + row.tobytes() for row in pixels[y::step_y, x::step_x]]
    return png_of((17, 13, 8, 2, 0, 0, 1), b"".join(rows))


def animated(kind: str, **options) -> bytes:
    frames = [Image.new("RGB", (16, 12), (60 * i, 90, 255 - 60 * i)) for i in range(4)]
    return picture_bytes(
        frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options
    )


def see_through(mode: str) -> Image.Image:
    picture = gradient().convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return picture if mode == "RGBA" else picture.convert(mode)


def palette(kind: str, **options) -> bytes:
    return picture_bytes(gradient().quantize(16), kind, **options)


def exif_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "on its side"
    return picture_bytes(gradient(), "JPEG", exif=exif)


def sixteen_bit(kind: str) -> bytes:
    return picture_bytes(Image.fromarray(np.arange(192, dtype=np.uint16).reshape(12, 16)), kind)


def pdf(num_pages: int = 1) -> bytes:
    pages = [gradient(40, 30) for _ in range(num_pages)]
    born = time.gmtime(0)  # pillow would write the time of day
    return picture_bytes(
        pages[0], "PDF", save_all=True, append_images=pages[1:], creationDate=born, modDate=born
    )


def plain(kind: str, mode: str = "RGB", **options) -> bytes:
    return picture_bytes(gradient().convert(mode), kind, **options)


PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg": partial(plain, "JPEG"),
    "jpeg_progressive": partial(plain, "JPEG", progressive=True),
    "jpeg_grey": partial(plain, "JPEG", "L"),
    "jpeg_cmyk": partial(plain, "JPEG", "CMYK"),
    "jpeg_exif": exif_jpeg,
    "png": partial(plain, "PNG"),
    "png_1bit": partial(plain, "PNG", "1"),
    "png_16bit": partial(sixteen_bit, "PNG"),
    "png_rgba": lambda: picture_bytes(see_through("RGBA"), "PNG"),
    "png_grey_alpha": lambda: picture_bytes(see_through("LA"), "PNG"),
    "png_palette": partial(palette, "PNG", transparency=0),
    "png_interlaced": interlaced_png,
    "apng": partial(animated, "PNG"),
    "gif": partial(plain, "GIF"),
    "gif_transparent": partial(palette, "GIF", transparency=3),
    "gif_animated": partial(animated, "GIF"),
    "webp": partial(plain, "WEBP"),
    "webp_lossless": partial(plain, "WEBP", lossless=True),
    "webp_rgba": lambda: picture_bytes(see_through("RGBA"), "WEBP"),
    "webp_animated": partial(animated, "WEBP"),
    "tiff": partial(plain, "TIFF"),
    "tiff_lzw": partial(plain, "TIFF", compression="tiff_lzw"),
    "tiff_jpeg": partial(plain, "TIFF", compression="jpeg"),
    "tiff_fax": partial(plain, "TIFF", "1", compression="group4"),
    "tiff_16bit": partial(sixteen_bit, "TIFF"),
    "tiff_pages": partial(animated, "TIFF"),
    "bmp": partial(plain, "BMP"),
    "bmp_palette": partial(palette, "BMP"),
    "avif": partial(plain, "AVIF", max_threads=1),
    "jp2": partial(plain, "JPEG2000"),
    "tiff_big": partial(plain, "TIFF", big_tiff=True),
    "pdf": pdf,
    "pdf_pages": partial(pdf, 3),
}
