"""Sounds → (num_samples,) float32, one channel, at the model's rate, cut to what it hears."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import numpy as np
import soxr

from mmrerank.errors import MediaUnreadable
from mmrerank.media.arrays import to_numpy
from mmrerank.media.backend import decoder_backend
from mmrerank.media.guard import decoder_errors, first_working
from mmrerank.media.limits import check_duration
from mmrerank.media.policy import MediaPolicy
from mmrerank.types import DecodeBudget, DecodedAudio

__all__ = [
    "audio_from_array",
    "audio_from_decoder",
    "decode_audio",
    "samples_by_pyav",
    "samples_by_torchcodec",
]

_MAX_CHANNELS = 32


def decode_audio(data: bytes, budget: DecodeBudget, policy: MediaPolicy) -> DecodedAudio:
    """Decode the first `budget.max_audio_s` seconds of a sound file, or of a clip's sound track.

    Raises MediaTooLarge for a sound longer than the policy allows, MediaUnreadable otherwise.
    """
    readers = [samples_by_pyav]
    if decoder_backend() == "torchcodec":
        readers = [samples_by_torchcodec, samples_by_pyav]
    samples, rate_hz = first_working(
        [partial(read, data, budget.max_audio_s, policy) for read in readers],
        "no sound that can be decoded",
    )
    return _finish(samples, rate_hz, budget)


def audio_from_array(
    value: Any, sampling_rate: int | None, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedAudio:
    """A sound given as (samples,) or (channels, samples); integers are scaled to [-1, 1].

    sampling_rate: in Hz, None = already at the model's. Raises MediaUnreadable.
    """
    samples = _to_float(to_numpy(value))
    if samples.ndim == 1:
        samples = samples[None, :]
    if samples.ndim != 2:
        raise MediaUnreadable(
            f"an array of shape {samples.shape} is no sound; expected 1 or 2 dimensions."
        )
    if samples.shape[0] > _MAX_CHANNELS:
        raise MediaUnreadable(
            f"{samples.shape[0]:,} channels; expected (channels, samples), so transpose the array."
        )
    rate_hz = sampling_rate or budget.sampling_rate_hz
    check_duration(samples.shape[1] / rate_hz, policy)
    return _finish(samples, rate_hz, budget)


def audio_from_decoder(decoder: Any, budget: DecodeBudget, policy: MediaPolicy) -> DecodedAudio:
    """A sound from a torchcodec AudioDecoder."""
    with decoder_errors("the decoder gives no sound"):
        samples, rate_hz = _play(decoder, budget.max_audio_s, policy)
    return _finish(samples, rate_hz, budget)


# ---------------------------------------------------------------- the two decoders


def samples_by_torchcodec(data: bytes, max_s: float, policy: MediaPolicy) -> tuple[np.ndarray, int]:
    """(channels, samples) float32 of at most `max_s` seconds, and their rate in Hz."""
    from torchcodec.decoders import AudioDecoder  # type: ignore[attr-defined]

    return _play(AudioDecoder(data), max_s, policy)


def _play(decoder: Any, max_s: float, policy: MediaPolicy) -> tuple[np.ndarray, int]:
    check_duration(decoder.metadata.duration_seconds_from_header, policy)
    start_s = decoder.metadata.begin_stream_seconds_from_header or 0.0
    # A second more than needed: the end of a range is a guess where the header has none.
    played = decoder.get_samples_played_in_range(start_s, start_s + max_s + 1.0)
    return played.data.numpy(), int(played.sample_rate)


def samples_by_pyav(data: bytes, max_s: float, policy: MediaPolicy) -> tuple[np.ndarray, int]:
    """(channels, samples) float32 of at most about `max_s` seconds, and their rate in Hz."""
    import av

    with av.open(io.BytesIO(data), "r", metadata_errors="replace") as container:
        if not container.streams.audio:
            raise MediaUnreadable("the file has no sound.")
        stream = container.streams.audio[0]
        if stream.duration is not None and stream.time_base is not None:
            check_duration(float(stream.duration * stream.time_base), policy)
        rate_hz = stream.rate
        # Packed, one plane for all channels: of planar frames PyAV 18 reads no more than eight
        # planes safely, and a damaged header can claim more.
        packed = av.AudioResampler(format="flt")
        chunks: list[np.ndarray] = []
        missing = int((max_s + 1.0) * rate_hz)
        for frame in container.decode(stream):
            for part in packed.resample(frame):
                chunks.append(part.to_ndarray().reshape(part.samples, -1).T)
                missing -= part.samples
            if missing <= 0:
                break
    if not chunks:
        raise MediaUnreadable("the file has a sound track without samples.")
    return np.concatenate(chunks, axis=1), rate_hz


# ---------------------------------------------------------------- to the model's form


def _finish(samples: np.ndarray, rate_hz: int, budget: DecodeBudget) -> DecodedAudio:
    """(channels, samples) → one channel by the mean, cut, resampled."""
    max_samples = round(budget.max_audio_s * rate_hz)
    mono = samples[:, :max_samples].mean(axis=0, dtype=np.float32)
    if mono.size == 0:
        raise MediaUnreadable("the sound has no samples.")
    if rate_hz != budget.sampling_rate_hz:
        mono = soxr.resample(mono, rate_hz, budget.sampling_rate_hz)
    if mono.size == 0:
        raise MediaUnreadable(
            f"the sound is shorter than one sample at {budget.sampling_rate_hz:,} Hz."
        )
    return DecodedAudio(np.ascontiguousarray(mono, dtype=np.float32), budget.sampling_rate_hz)


def _to_float(array: np.ndarray) -> np.ndarray:
    """Floats as they are; 8, 16 and 32 bit integers by their range, unsigned around its middle."""
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind not in "iu" or array.dtype.itemsize > 4:
        raise MediaUnreadable(
            f"samples of {array.dtype} have no known range; cast them to int16, int32 or float in "
            f"[-1, 1]."
        )
    middle = 0.0 if array.dtype.kind == "i" else 2.0 ** (array.dtype.itemsize * 8 - 1)
    scale = 2.0 ** (array.dtype.itemsize * 8 - 1)
    return ((array.astype(np.float64) - middle) / scale).astype(np.float32)
