"""Sounds → (num_samples,) float32, one channel, at the model's rate, cut to what it hears."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import soxr

from mmrerank.errors import MediaUnreadable, shorten
from mmrerank.media.arrays import to_numpy
from mmrerank.media.audio_readers import (
    Heard,
    check_rate,
    hear_by_decoder,
    hear_by_pyav,
    hear_by_torchcodec,
)
from mmrerank.media.backend import decoder_backend
from mmrerank.media.encoded import Encoded
from mmrerank.media.ffmpeg import has_sound
from mmrerank.media.guard import decoder_errors, first_working
from mmrerank.media.limits import check_duration
from mmrerank.media.policy import MediaPolicy
from mmrerank.types import DecodeBudget, DecodedAudio

__all__ = [
    "audio_from_array",
    "audio_from_decoder",
    "decode_audio",
    "decode_sound_track",
    "samples_by_pyav",
    "samples_by_torchcodec",
]

_MAX_CHANNELS = 32


def decode_audio(data: Encoded, budget: DecodeBudget, policy: MediaPolicy) -> DecodedAudio:
    """Decode the first `budget.max_audio_s` seconds of a sound file, or of a clip's sound track.

    Raises MediaTooLarge for a sound longer than the policy allows, MediaUnreadable otherwise.
    """
    readers = [hear_by_pyav]
    if decoder_backend() == "torchcodec":
        readers = [hear_by_torchcodec, hear_by_pyav]
    heard = first_working(
        [partial(read, data, budget.max_audio_s, policy) for read in readers],
        "no sound that can be decoded",
    )
    return _finish(heard, budget)


def decode_sound_track(
    data: Encoded, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedAudio | None:
    """The sound of a clip as `decode_audio`, None for a clip without. Raises MediaError."""
    with decoder_errors("no sound track that can be decoded"):
        if not has_sound(data):
            return None
    return decode_audio(data, budget, policy)


def audio_from_array(
    value: Any, sampling_rate: float | None, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedAudio:
    """A sound given as (samples,) or (channels, samples); integers are scaled to [-1, 1].

    sampling_rate: in Hz, None = already at the model's. Raises MediaUnreadable.
    """
    samples = to_numpy(value, policy)
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
    rate_hz = budget.sampling_rate_hz if sampling_rate is None else sampling_rate
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, Real):
        raise MediaUnreadable(f"sampling_rate={shorten(rate_hz)}: expected a number of hertz.")
    check_rate(rate_hz)
    duration_s = samples.shape[1] / rate_hz
    check_duration(duration_s, policy)
    # A sample more, to tell that something is cut.
    kept = samples[:, : round(budget.max_audio_s * rate_hz) + 1]
    return _finish(Heard(_to_float(kept), rate_hz, duration_s), budget)


def audio_from_decoder(decoder: Any, budget: DecodeBudget, policy: MediaPolicy) -> DecodedAudio:
    """A sound from a torchcodec AudioDecoder."""
    with decoder_errors("the decoder gives no sound"):
        heard = hear_by_decoder(decoder, budget.max_audio_s, policy)
    return _finish(heard, budget)


def samples_by_torchcodec(
    data: Encoded, max_s: float, policy: MediaPolicy
) -> tuple[np.ndarray, float]:
    """(channels, samples) float32 and their rate in Hz, by torchcodec."""
    heard = hear_by_torchcodec(data, max_s, policy)
    return heard.samples, heard.rate_hz


def samples_by_pyav(data: Encoded, max_s: float, policy: MediaPolicy) -> tuple[np.ndarray, float]:
    """(channels, samples) float32 and their rate in Hz, by PyAV."""
    heard = hear_by_pyav(data, max_s, policy)
    return heard.samples, heard.rate_hz


# ---------------------------------------------------------------- to the model's form


def _finish(heard: Heard, budget: DecodeBudget) -> DecodedAudio:
    """One channel by the mean, cut, resampled. Raises MediaUnreadable."""
    samples, rate_hz, _ = heard
    check_rate(rate_hz)
    with np.errstate(all="ignore"):  # float files may hold anything; it is looked at below
        mono = samples[:, : round(budget.max_audio_s * rate_hz)].mean(axis=0, dtype=np.float32)
        if mono.size == 0:
            raise MediaUnreadable("the sound has no samples.")
        if rate_hz != budget.sampling_rate_hz:
            mono = soxr.resample(mono, rate_hz, budget.sampling_rate_hz)
        if mono.size == 0:
            raise MediaUnreadable(
                f"the sound is shorter than one sample at {budget.sampling_rate_hz:,} Hz."
            )
        if not np.isfinite(mono).all():
            raise MediaUnreadable("the sound holds NaN or infinite samples.")
    samples_out = np.ascontiguousarray(mono, dtype=np.float32)
    return DecodedAudio(samples_out, budget.sampling_rate_hz, _cut_s(heard, budget))


def _cut_s(heard: Heard, budget: DecodeBudget) -> float:
    """Seconds behind the cut: by the header, and no less than what was seen."""
    seen_s: float = heard.samples.shape[1] / heard.rate_hz
    if heard.samples.shape[1] <= round(budget.max_audio_s * heard.rate_hz):
        return 0.0  # decoded to its end, whatever its header claims
    return max(heard.duration_s or 0.0, seen_s) - budget.max_audio_s


def _to_float(array: np.ndarray) -> np.ndarray:
    """Floats as they are; 8, 16 and 32 bit integers by their range, unsigned around its middle."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    if array.dtype.kind not in "iu" or array.dtype.itemsize > 4:
        raise MediaUnreadable(
            f"samples of {array.dtype} have no known range; cast them to int16, int32 or float in "
            f"[-1, 1]."
        )
    middle = 0.0 if array.dtype.kind == "i" else 2.0 ** (array.dtype.itemsize * 8 - 1)
    scale = 2.0 ** (array.dtype.itemsize * 8 - 1)
    return ((array.astype(np.float64) - middle) / scale).astype(np.float32)
