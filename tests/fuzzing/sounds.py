"""Small healthy sounds, one of each kind that the loaders read."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import av
import numpy as np

__all__ = ["SOUNDS", "sound", "sound_stream", "tone", "wav_of", "write_sound"]

FLOAT, PCM = 3, 1


def wav_of(
    samples: bytes,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = PCM,
    claims_bytes: int | None = None,
) -> bytes:
    """A WAV file around raw samples; claims_bytes: what its header says of their length."""
    claimed = len(samples) if claims_bytes is None else claims_bytes
    frame = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, rate_hz * frame & 0xFFFFFFFF, frame & 0xFFFF, bits
    )
    return (
        b"RIFF"
        + struct.pack("<I", min(0xFFFFFFFF, 36 + claimed))
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", claimed)
        + samples
    )


def tone(rate_hz: int, duration_s: float, channels: int = 1) -> np.ndarray:
    """(channels, samples) int16."""
    wave = np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * duration_s)) / rate_hz)
    return (np.stack([wave / (place + 1) for place in range(channels)]) * 20_000).astype(np.int16)


def sound_stream(output: Any, codec: str, rate_hz: int, layout: str) -> Any:
    """A new stream of a file that is being written."""
    stream = output.add_stream(codec, rate=rate_hz, layout=layout)
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    stream.codec_context.bit_rate = 64_000 if codec != "libopencore_amrnb" else 12_200
    stream.codec_context.options = {"strict": "experimental"}  # for vorbis
    return stream


def write_sound(output: Any, stream: Any, rate_hz: int, duration_s: float) -> None:
    """Encode a tone into the stream."""
    stream.codec_context.open(strict=False)
    layout = stream.layout.name
    samples = tone(rate_hz, duration_s, stream.layout.nb_channels)
    frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), "s16", layout)
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(
        stream.format, layout, rate_hz, stream.codec_context.frame_size or None
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(part))
    output.mux(stream.encode(None))


def sound(
    container: str,
    codec: str,
    *,
    rate_hz: int = 22_050,
    duration_s: float = 0.15,
    layout: str = "stereo",
) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as output:
        stream = sound_stream(output, codec, rate_hz, layout)
        write_sound(output, stream, rate_hz, duration_s)
    return file.getvalue()


def float_wav() -> bytes:
    samples = (tone(16_000, 0.1, 2) / 32_768).astype("<f4").T.tobytes()
    return wav_of(samples, channels=2, bits=32, tag=FLOAT)


SOUNDS: dict[str, Callable[[], bytes]] = {
    "wav": partial(sound, "wav", "pcm_s16le"),
    "wav_8bit": partial(sound, "wav", "pcm_u8", layout="mono"),
    "wav_24bit": partial(sound, "wav", "pcm_s24le"),
    "wav_float": float_wav,
    "wav_adpcm": partial(sound, "wav", "adpcm_ms"),
    "wav_8_channels": partial(sound, "wav", "pcm_s16le", layout="7.1", rate_hz=8_000),
    "wav_7999_hz": partial(sound, "wav", "pcm_s16le", rate_hz=7_999),
    "wav_192_khz": partial(sound, "wav", "pcm_s16le", rate_hz=192_000, duration_s=0.05),
    "aiff": partial(sound, "aiff", "pcm_s16be"),
    "flac": partial(sound, "flac", "flac"),
    "mp3": partial(sound, "mp3", "libmp3lame"),
    "aac": partial(sound, "adts", "aac"),
    "m4a": partial(sound, "ipod", "aac"),
    "alac": partial(sound, "ipod", "alac"),
    "ogg_opus": partial(sound, "ogg", "libopus", rate_hz=48_000),
    "ogg_vorbis": partial(sound, "ogg", "vorbis"),
    "mka": partial(sound, "matroska", "libopus", rate_hz=48_000),
    "wma": partial(sound, "asf", "wmav2", rate_hz=44_100),
    "amr": partial(sound, "amr", "libopencore_amrnb", rate_hz=8_000, layout="mono"),
}
