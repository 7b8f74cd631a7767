"""Small healthy clips, one of each kind that the loaders read."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np

from tests.fuzzing.sounds import sound_stream, write_sound

__all__ = ["CLIPS", "clip", "turned"]

os.environ.setdefault("SVT_LOG", "-1")  # its encoder talks to the terminal
_QUIET = {"libx264": {"preset": "ultrafast"}, "libx265": {"x265-params": "log-level=none"}}
_MATRIX_90 = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)


def clip(
    container: str,
    codec: str,
    *,
    num_frames: int = 6,
    size: tuple[int, int] = (48, 32),
    fps: int = 10,
    sound: str | None = None,
    times: tuple[int, ...] | None = None,
    muxer: dict[str, str] | None = None,
    shape: Fraction | None = None,
) -> bytes:
    """A clip of plain colours.

    sound: codec of a track beside it. times: of the frames, in ms. shape: of a pixel.
    """
    file = io.BytesIO()
    options = {"fflags": "+bitexact", **(muxer or {})}
    with av.open(file, "w", format=container, options=options) as output:
        settings = {"g": "3", **_QUIET.get(codec, {})}
        stream: Any = output.add_stream(codec, rate=fps, options=settings)
        sound_hz = 48_000 if sound == "libopus" else 22_050
        track = sound_stream(output, sound, sound_hz, "mono") if sound else None
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.thread_count = 1  # more of them write other bytes on each run
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1_000)
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        for index in range(num_frames):
            picture = np.full((size[1], size[0], 3), (index * 37 % 256, 90, 200), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1_000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if track is not None:
            write_sound(output, track, sound_hz, 0.3)
    return file.getvalue()


def turned(data: bytes, matrix: bytes = _MATRIX_90) -> bytes:
    """An MP4 or MOV whose track header asks players to turn it."""
    found = bytearray(data)
    start = data.index(b"tkhd") + 4 + 40
    found[start : start + 36] = matrix
    return bytes(found)


_UNEVEN_MS = (0, 30, 40, 500, 510, 2_000)

CLIPS: dict[str, Callable[[], bytes]] = {
    "mp4": partial(clip, "mp4", "libx264"),
    "mp4_sound": partial(clip, "mp4", "libx264", sound="aac"),
    "mp4_fragmented": partial(
        clip, "mp4", "libx264", muxer={"movflags": "frag_keyframe+empty_moov"}
    ),
    "mp4_hevc": partial(clip, "mp4", "libx265", size=(64, 64)),
    "mp4_wide_pixels": partial(clip, "mp4", "libx264", shape=Fraction(16, 9)),
    "mov": partial(clip, "mov", "mpeg4"),
    "mov_turned": lambda: turned(clip("mov", "libx264")),
    "mkv_uneven": partial(clip, "matroska", "libx264", times=_UNEVEN_MS),
    "webm_vp8": partial(clip, "webm", "libvpx"),
    "webm_vp9": partial(clip, "webm", "libvpx-vp9", sound="libopus"),
    "webm_av1": partial(clip, "webm", "libsvtav1", size=(64, 64)),
    "avi": partial(clip, "avi", "mpeg4", sound="libmp3lame"),
    "avi_mjpeg": partial(clip, "avi", "mjpeg"),
    "mpegts": partial(clip, "mpegts", "libx264", sound="aac"),
    "mpeg_ps": partial(clip, "mpeg", "mpeg1video", fps=25),
    "flv": partial(clip, "flv", "flv"),
    "wmv": partial(clip, "asf", "wmv2"),
}
