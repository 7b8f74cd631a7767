"""Lying headers, by the format that `sniff_format` names: (bytes, chance) → bytes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzzing.lies.pictures import (
    lie_bmp,
    lie_gif,
    lie_jpeg,
    lie_pdf,
    lie_png,
    lie_tiff,
    lie_webp,
)
from tests.fuzzing.lies.streams import (
    lie_boxes,
    lie_flac,
    lie_frames,
    lie_matroska,
    lie_ogg,
    lie_riff,
    lie_ts,
)

__all__ = ["LIES"]

LIES: dict[str, Callable[[bytes, Random], bytes]] = {
    "png": lie_png,
    "jpeg": lie_jpeg,
    "gif": lie_gif,
    "webp": lie_webp,
    "bmp": lie_bmp,
    "tiff": lie_tiff,
    "pdf": lie_pdf,
    **dict.fromkeys(("avif", "mp4", "m4a", "jp2"), lie_boxes),
    **dict.fromkeys(("wav", "avi", "aiff"), lie_riff),
    "flac": lie_flac,
    "ogg": lie_ogg,
    "matroska": lie_matroska,
    "mpeg": lie_ts,
    **dict.fromkeys(("mp3", "aac", "amr", "flv", "asf"), lie_frames),
}
