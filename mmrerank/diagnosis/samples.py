"""The smallest files that a decoder can be tried on, made on the spot."""

from __future__ import annotations

import base64
import io
import struct
import zlib

__all__ = ["SAMPLE_SIDE_PX", "flac_sample", "jpeg_sample", "mp4_sample", "pdf_sample", "wav_sample"]

SAMPLE_SIDE_PX = 32
_RATE_HZ = 8_000

# 0.1 s of a 500 Hz tone: ffmpeg -f lavfi -i sine=frequency=500:sample_rate=8000:duration=0.1
# -c:a flac -bitexact, without its padding; no encoder of it is at hand in every installation.
_FLAC = (
    "eNpL80l0bmBgUGJyYHJgYChiYNjH+IXhAwMDs8Ld5shgN81aueTa5xzbXqoe/f9DhYPhlBMDA5v8s93yB5gYJBLn"
    "LDVKbCuacrJN8lSwmkS6ps+MwSnk4aL7/0cKB+P9p1Dnix4QYOhoUgz7fMtFiaM1+nymQIeSaL7tEieFjtA93yZy"
    "UCyVcaEOAECTibM="
)
# Four red frames: ffmpeg -f lavfi -i color=red:s=32x32:r=4:d=1 -c:v mpeg4 -q:v 20 -bitexact
_MP4 = (
    "eNp9UjtLA0EQnk3OBz5AySEWUU6JneKDWCqCKAEFK7VQkDO70cPb3HG7HmghKX3+CP+BIOofSGNvIxa2dna2cXZz"
    "MWt8DPfdzM5zZ2YBIFuSR6EnAg6QAsURMzzMTwNAZyliDPkKp64EILfQ14HsPmNfXvjjHacvwSvA0/LS/UC6yh/e"
    "lWnzfAhVgRK3ur7EnYY2PcmDIMaUPo/3KXyj9JsGAfU1iXz3aj0vwL+Uwu9ERu4BytvyQNdM/8ymav9f59e6TgKA"
    "HKNSIM8yX8hmRJJXx5IPTj1XRXDa2vuCxnpVHyb2qR81LLFHmem5geeg4Japz5QPueZeuYSCHXOd1LxmjtZtWRqx"
    "ktFGz2HkO3WZuELu+ig/Cymo4fOIbyD+YxSqaQcKyAsNj65VNy46PGR7+d8XMVir4X+NCSr0wCuVyjwmtpBPOf1a"
    "1YtTSA22oWYYM96o292dZerliQPVq1MYI5ZlL7ajC8HNQl/oijC5oIK9K6P69JNkqrCQejONRiwMU7KNDZt6hSzq"
    "ii06K+E5tB0bDSn9KKLbAOYsBkb8OGLukEq19VnONFc0Ym4YX0XkhqFvTqvTw2f0CTuheqY="
)


def jpeg_sample(num_squares: int = 1) -> bytes:
    """A red square, or a column of so many."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (SAMPLE_SIDE_PX, num_squares * SAMPLE_SIDE_PX), "red").save(file, "JPEG")
    return file.getvalue()


def wav_sample() -> bytes:
    """0.1 s of silence: 16 bits, one channel."""
    data = bytes(_RATE_HZ // 10 * 2)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE_HZ, _RATE_HZ * 2, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def flac_sample() -> bytes:
    """0.1 s of a tone."""
    return zlib.decompress(base64.b64decode(_FLAC))


def mp4_sample() -> bytes:
    """Four red frames in one second."""
    return zlib.decompress(base64.b64decode(_MP4))


def pdf_sample() -> bytes:
    """One empty page, twice as high as wide."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 200]>>",
    ]
    text, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(text))
        text += b"%d 0 obj%sendobj\n" % (number, body)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    table = b"xref\n0 4\n0000000000 65535 f \n" + rows
    return text + table + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(text)
