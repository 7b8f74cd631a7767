"""The sampled frames of a clip by PyAV: timestamps of the packets, then a seek before each."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrerank.errors import MediaUnreadable
from mmrerank.media.limits import check_clip
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.sampling import sample_frame_indices
from mmrerank.types import DecodeBudget, DecodedVideo

__all__ = ["frames_by_pyav"]


def frames_by_pyav(data: bytes, budget: DecodeBudget, policy: MediaPolicy) -> DecodedVideo:
    """The sampled frames of a clip, by PyAV. Raises MediaError and av's own errors."""
    import av

    with av.open(io.BytesIO(data), metadata_errors="replace") as container:
        if not container.streams.video:
            raise MediaUnreadable("the file has no pictures.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        clip = _scan(container, stream)
        indices = sample_frame_indices(clip.num_frames, clip.fps, clip.duration_s, budget)
        distinct = sorted(set(indices))
        check_clip(stream.width, stream.height, clip.duration_s, len(distinct), policy)
        frames = _frames_at(container, stream, clip, distinct)
    places = np.searchsorted(distinct, indices)
    return DecodedVideo(np.stack(frames)[places], clip.fps, indices, clip.num_frames)


@dataclass(frozen=True, slots=True)
class _Clip:
    """What the packets say: timestamps as shown, and those of key frames, in ticks."""

    timestamps: list[int]
    key_timestamps: list[int]
    num_frames: int
    duration_s: float
    fps: float


def _scan(container: Any, stream: Any) -> _Clip:
    """Read all packets without decoding; no `timestamps` where a packet has none (some AVI)."""
    shown = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
    stamps = [packet.pts for packet in shown]
    has_stamps = bool(stamps) and None not in stamps and len(set(stamps)) == len(stamps)
    duration_s = 0.0
    if has_stamps:
        end = max(packet.pts + (packet.duration or 0) for packet in shown)
        duration_s = float((end - min(stamps)) * stream.time_base)
    rate = float(stream.average_rate or 0.0)
    if duration_s <= 0.0:
        duration_s = len(shown) / rate if rate else 0.0
    return _Clip(
        timestamps=sorted(stamps) if has_stamps else [],
        key_timestamps=sorted(p.pts for p in shown if p.is_keyframe) if has_stamps else [],
        num_frames=len(shown),
        duration_s=duration_s,
        fps=len(shown) / duration_s if duration_s else rate,
    )


def _frames_at(
    container: Any, stream: Any, clip: _Clip, indices: Sequence[int]
) -> list[np.ndarray]:
    if clip.timestamps:
        frames = _by_seeking(container, stream, clip, [clip.timestamps[index] for index in indices])
        if frames is not None:
            return frames
    return _by_counting(container, stream, indices)


def _by_seeking(
    container: Any, stream: Any, clip: _Clip, targets: Sequence[int]
) -> list[np.ndarray] | None:
    """Frames at these timestamps; None where a seek lands behind its target (no index)."""
    frames: list[np.ndarray] = []
    decoded: Iterator[Any] = iter(())
    num_keys_passed = 0
    for target in targets:
        num_keys = bisect_right(clip.key_timestamps, target)
        if (
            not frames or num_keys > num_keys_passed
        ):  # a key frame lies between: skip what is before it
            container.seek(target, stream=stream, backward=True)
            decoded = container.decode(stream)
        num_keys_passed = num_keys
        frame = next(
            (frame for frame in decoded if frame.pts is not None and frame.pts >= target), None
        )
        if frame is None or frame.pts != target:
            return None
        frames.append(_pixels_of(frame))
    return frames


def _by_counting(container: Any, stream: Any, indices: Sequence[int]) -> list[np.ndarray]:
    """Frames by their place, decoding the clip through; one that breaks off repeats its last."""
    container.seek(0, backward=True)
    wanted = set(indices)
    frames: dict[int, np.ndarray] = {}
    last = -1
    for last, frame in enumerate(container.decode(stream)):
        if last in wanted:
            frames[last] = _pixels_of(frame)
        if len(frames) == len(wanted):
            break
    if not frames:
        raise MediaUnreadable("the clip has no frame that can be decoded.")
    newest = frames[max(frames)]
    return [frames.get(index, newest) for index in indices]


def _pixels_of(frame: Any) -> np.ndarray:
    pixels: np.ndarray = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90)  # counter-clockwise, as numpy counts
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels
