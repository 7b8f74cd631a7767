"""Sounds and clips with rates, lengths, sides and counts that no machine makes."""

from __future__ import annotations

import struct
from fractions import Fraction
from functools import partial

import numpy as np

from mmrerank.types import Audio, Video
from tests.fuzzing.clips import CLIPS as HEALTHY_CLIPS
from tests.fuzzing.clips import clip, turned
from tests.fuzzing.crafted._kind import Crafted, broken, either, good
from tests.fuzzing.lies.pictures import patched
from tests.fuzzing.sounds import FLOAT, sound, tone, wav_of
from tests.fuzzing.sounds import SOUNDS as HEALTHY_SOUNDS

__all__ = ["CLIPS", "SOUNDS"]

SECOND = tone(16_000, 1.0).tobytes()


def floats_with(value: float) -> bytes:
    samples = np.zeros(1_600, "<f4")
    samples[800] = value
    return wav_of(samples.tobytes(), bits=32, tag=FLOAT)


def at_rate(rate_hz: int) -> bytes:
    return wav_of(SECOND, rate_hz=rate_hz)


def of_channels(channels: int) -> bytes:
    return wav_of(bytes(channels * 2 * 16), channels=channels)


def flac_claims_samples() -> bytes:
    return patched(HEALTHY_SOUNDS["flac"](), 22, ">I", 0xFFFF_FFFF)


def many_chunks() -> bytes:
    junk = b"LIST\x04\0\0\0INFO"
    data = wav_of(SECOND)
    return data[:36] + junk * 100_000 + data[36:]


def large_tag(claimed: int) -> bytes:
    size = bytes(claimed >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + size + bytes(100) + HEALTHY_SOUNDS["mp3"]()


SOUNDS: dict[str, Crafted] = {
    "wav_at_7999_hz": good(Audio, partial(at_rate, 7_999)),
    "wav_at_192_khz": good(Audio, partial(at_rate, 192_000)),
    "wav_at_0_hz": broken(Audio, partial(at_rate, 0)),
    "wav_at_1_hz": either(Audio, partial(at_rate, 1)),
    "wav_at_2_ghz": either(Audio, partial(at_rate, 0x7FFF_FFFF)),
    "wav_at_4_ghz": either(Audio, partial(at_rate, 0xFFFF_FFFF)),
    "wav_of_no_samples": broken(Audio, partial(wav_of, b"")),
    "wav_of_1_sample": good(Audio, partial(wav_of, b"\x10\x20")),
    "wav_with_nan": broken(Audio, partial(floats_with, float("nan"))),
    "wav_with_infinity": broken(Audio, partial(floats_with, float("inf"))),
    "wav_with_1e38": either(Audio, partial(floats_with, 1e38)),
    "wav_claims_4_GB": either(Audio, partial(wav_of, SECOND, claims_bytes=0xFFFF_FFFF)),
    "wav_claims_2_GB": either(Audio, partial(wav_of, SECOND, claims_bytes=0x7FFF_FFFE)),
    "wav_claims_0_bytes": either(Audio, partial(wav_of, SECOND, claims_bytes=0)),
    "wav_of_255_channels": either(Audio, partial(of_channels, 255)),
    "wav_of_65535_channels": either(Audio, partial(of_channels, 65_535)),
    "wav_of_0_channels": broken(Audio, partial(wav_of, SECOND, channels=0)),
    "wav_of_0_bits": broken(Audio, partial(wav_of, SECOND, bits=0)),
    "wav_of_an_hour": good(Audio, partial(wav_of, bytes(28_800_000), rate_hz=8_000, bits=8)),
    "wav_100000_chunks": either(Audio, many_chunks),
    "flac_claims_4_billion_samples": either(Audio, flac_claims_samples),
    "mp3_tag_of_256_MB": either(Audio, partial(large_tag, (1 << 28) - 1)),
    "mp3_tag_of_100_bytes": good(Audio, partial(large_tag, 100)),
    "wav_at_96_khz": good(Audio, partial(sound, "wav", "pcm_s24le", rate_hz=96_000)),
}

# ---------------------------------------------------------------- clips

_MATRIX_45 = struct.pack(">9i", 46_341, 46_341, 0, -46_341, 46_341, 0, 0, 0, 1 << 30)


def in_box(name: bytes, offset: int, form: str, *values: int) -> bytes:
    """The healthy MP4 with numbers written behind a box's name."""
    data = HEALTHY_CLIPS["mp4"]()
    return patched(data, data.index(name) + 4 + offset, form, *values)


def nested_boxes(depth: int) -> bytes:
    head = b"\0\0\0\x14ftypisom\0\0\2\0isom"
    return head + b"".join(struct.pack(">I4s", 8 * (depth - i), b"moov") for i in range(depth))


def frames_of_4k() -> bytes:
    times = tuple(500 * place for place in range(60))
    return clip("matroska", "libx264", num_frames=60, size=(3_840, 2_160), times=times)


def outer_reference() -> bytes:
    """An MP4 whose samples are said to lie in another file of this machine."""
    data = HEALTHY_CLIPS["mp4"]()
    at = data.index(b"url ")
    return patched(data, at + 4, ">I", 0)  # flags 0: not in this file


CLIPS: dict[str, Crafted] = {
    "mp4_of_1_frame": good(Video, partial(clip, "mp4", "libx264", num_frames=1)),
    "mp4_of_2x2_px": good(Video, partial(clip, "mp4", "libx264", size=(2, 2))),
    "mp4_of_10000_frames": good(
        Video, partial(clip, "mp4", "libx264", num_frames=10_000, size=(16, 16))
    ),
    "mp4_without_pictures": broken(Video, partial(sound, "mp4", "aac")),
    "mp4_of_no_frames": broken(Video, partial(in_box, b"stsz", 8, ">I", 0)),
    "mp4_turned_by_90": good(Video, lambda: turned(clip("mp4", "libx264"))),
    "mp4_turned_by_45": either(Video, lambda: turned(clip("mp4", "libx264"), _MATRIX_45)),
    "mp4_matrix_of_zeros": either(Video, lambda: turned(clip("mp4", "libx264"), bytes(36))),
    "mkv_variable_rate": good(
        Video, partial(clip, "matroska", "libx264", times=(0, 1, 2, 900, 5_000, 5_001))
    ),
    "mp4_wide_pixels": good(Video, partial(clip, "mp4", "libx264", shape=Fraction(4, 3))),
    "mp4_track_of_65535x65535": either(
        Video, partial(in_box, b"tkhd", 76, ">II", 0xFFFF_0000, 0xFFFF_0000)
    ),
    "mp4_entry_of_65535x65535": either(Video, partial(in_box, b"avc1", 24, ">HH", 65_535, 65_535)),
    "mp4_claims_4_billion_frames": either(Video, partial(in_box, b"stsz", 8, ">I", 0xFFFF_FFFF)),
    "mp4_claims_136_years": either(Video, partial(in_box, b"mdhd", 16, ">I", 0xFFFF_FFFF)),
    "mp4_timescale_of_0": either(Video, partial(in_box, b"mdhd", 12, ">I", 0)),
    "mp4_frames_of_0_ticks": either(Video, partial(in_box, b"stts", 12, ">I", 0)),
    "mp4_frames_elsewhere": either(Video, outer_reference),
    "mp4_10000_boxes_deep": broken(Video, partial(nested_boxes, 10_000)),
    # Two megabytes that are 1.5 GB of pixels when every sampled frame is kept.
    "mp4_60_frames_of_4k": either(Video, frames_of_4k),
}
