"""The first seconds of a sound file, by torchcodec or by PyAV: all channels at the file's rate."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mmrerank.errors import MediaUnreadable
from mmrerank.media.encoded import Encoded, rewound
from mmrerank.media.ffmpeg import open_container
from mmrerank.media.limits import check_decoded, check_duration
from mmrerank.media.policy import MediaPolicy

__all__ = ["Heard", "check_rate", "hear_by_decoder", "hear_by_pyav", "hear_by_torchcodec"]

# Telemetry is stored at some hundred hertz, DSD is decoded to 2.8 MHz. Outside is a damaged header,
# and resampling by such ratios would take memory and time out of proportion.
_MIN_RATE_HZ, _MAX_RATE_HZ = 100, 3_072_000
# More than asked for: the end of a range is a guess where the header has none.
_EXTRA_S = 1.0


class Heard(NamedTuple):
    """samples: (channels, samples) float32; duration_s: of the whole sound, None = not known."""

    samples: np.ndarray
    rate_hz: float
    duration_s: float | None


def check_rate(rate_hz: float) -> None:
    """Raises MediaUnreadable for a rate that no sound has."""
    if not _MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ:
        raise MediaUnreadable(
            f"a sampling rate of {rate_hz:,} Hz; expected {_MIN_RATE_HZ:,} to {_MAX_RATE_HZ:,} Hz."
        )


def hear_by_torchcodec(data: Encoded, max_s: float, policy: MediaPolicy) -> Heard:
    """At most about `max_s` seconds and one more, by torchcodec."""
    from torchcodec.decoders import AudioDecoder  # type: ignore[attr-defined]

    return hear_by_decoder(AudioDecoder(rewound(data)), max_s, policy)


def hear_by_decoder(decoder: Any, max_s: float, policy: MediaPolicy) -> Heard:
    """At most about `max_s` seconds and one more of a torchcodec AudioDecoder."""
    facts = decoder.metadata
    duration_s = _usable(facts.duration_seconds_from_header)
    check_duration(duration_s, policy)
    check_rate(facts.sample_rate or 0)
    wanted_s = max_s + _EXTRA_S
    num_samples = min(duration_s or wanted_s, wanted_s) * facts.sample_rate
    check_decoded(num_samples * (facts.num_channels or 1) * 4, policy, "the sound")
    start_s = facts.begin_stream_seconds_from_header or 0.0
    played = decoder.get_samples_played_in_range(start_s, start_s + wanted_s)
    return Heard(played.data.cpu().numpy(), int(played.sample_rate), duration_s)


def hear_by_pyav(data: Encoded, max_s: float, policy: MediaPolicy) -> Heard:
    """At most about `max_s` seconds and one more, by PyAV."""
    import av

    with open_container(data) as container:
        if not container.streams.audio:
            raise MediaUnreadable("the file has no sound.")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise MediaUnreadable("its sound is of a coding that cannot be read.")
        duration_s = None
        if stream.duration is not None and stream.time_base is not None:
            duration_s = _usable(float(stream.duration * stream.time_base))
        check_duration(duration_s, policy)
        rate_hz = stream.rate or 0
        check_rate(rate_hz)
        # Packed, one plane for all channels: of planar frames PyAV 18 reads no more than eight
        # planes safely, and a damaged header can claim more.
        packed = av.AudioResampler(format="flt")
        chunks: list[np.ndarray] = []
        missing, num_bytes = int((max_s + _EXTRA_S) * rate_hz), 0
        for frame in container.decode(stream):
            for part in packed.resample(frame):
                chunks.append(part.to_ndarray().reshape(part.samples, -1).T)
                missing -= part.samples
                num_bytes += chunks[-1].nbytes
                check_decoded(num_bytes, policy, "the sound")
            if missing <= 0:
                break
    if not chunks:
        raise MediaUnreadable("the file has a sound track without samples.")
    return Heard(np.concatenate(chunks, axis=1), rate_hz, duration_s)


def _usable(seconds: float | None) -> float | None:
    return seconds if seconds and np.isfinite(seconds) and seconds > 0 else None
