"""Finds MPEG audio (MP3 and its elders) behind padding or junk, by three frames in a row."""

from __future__ import annotations

import re

__all__ = ["has_mpeg_audio"]

_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_NUM_FRAMES = 3  # two in a row happen by chance in one of twenty random megabytes

# kbit/s by (is MPEG 1, layer), for the header's index 1 to 14. Source: ISO 11172-3 and 13818-3.
_KBIT_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# By the header's two bits of version: MPEG 1, 2 and 2.5.
_RATES_HZ = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}


def has_mpeg_audio(data: bytes) -> bool:
    """Whether frames of MPEG audio, layer 1 to 3, follow each other somewhere in the bytes."""
    return any(_is_run_of_frames(data, match.start()) for match in _SYNC.finditer(data))


def _is_run_of_frames(data: bytes, at: int) -> bool:
    for _ in range(_NUM_FRAMES):
        size = _frame_bytes(data[at : at + 4])
        if size == 0:
            return False
        at += size
    return True


def _frame_bytes(header: bytes) -> int:
    """Length of the frame that a header of four bytes begins, 0 where it is none."""
    if len(header) < 4 or not _SYNC.match(header):
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index, hz_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in _RATES_HZ or layer == 4 or hz_index == 3 or not 1 <= rate_index <= 14:
        return 0
    bits_per_s = _KBIT_RATES[version == 3, layer][rate_index - 1] * 1_000
    rate_hz = _RATES_HZ[version][hz_index]
    if layer == 1:
        return (12 * bits_per_s // rate_hz + padding) * 4
    return (72 if version != 3 and layer == 3 else 144) * bits_per_s // rate_hz + padding
