"""The sampled frames of a clip by PyAV: timestamps of the packets, then a seek before each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmrerank.errors import MediaUnreadable
from mmrerank.media.encoded import Encoded
from mmrerank.media.ffmpeg import open_container
from mmrerank.media.limits import check_clip
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.sampling import UNKNOWN_FPS, sample_frame_indices
from mmrerank.media.shrink import shrunk_size
from mmrerank.media.video_rgb import FrameConverter
from mmrerank.types import DecodeBudget, DecodedVideo

__all__ = ["frames_by_pyav"]


def frames_by_pyav(data: Encoded, budget: DecodeBudget, policy: MediaPolicy) -> DecodedVideo:
    """The sampled frames of a clip, by PyAV. Raises MediaError and av's own errors."""
    with open_container(data) as container:
        if not container.streams.video:
            raise MediaUnreadable("the file has no pictures.")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise MediaUnreadable("its pictures are of a coding that cannot be read.")
        stream.thread_type = "AUTO"
        clip = _scan(container, stream)
        indices = sample_frame_indices(clip.num_frames, clip.fps, clip.duration_s, budget)
        distinct = sorted(set(indices))
        kept = _Kept(len(distinct), clip.duration_s, FrameConverter(stream), budget, policy)
        kept.check((stream.width, stream.height))
        _decode(container, stream, clip, distinct, kept)
    frames = kept.frames()
    if len(distinct) < len(indices):  # picking copies, so only where one is repeated
        frames = frames[np.searchsorted(distinct, indices)]
    return DecodedVideo(frames, clip.fps or UNKNOWN_FPS, indices, clip.num_frames)


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
    # Not the packets themselves: together they are the file.
    shown: list[tuple[Any, int, bool]] = [
        (packet.pts, packet.duration or 0, packet.is_keyframe)
        for packet in container.demux(stream)
        if packet.size and not packet.is_discard
    ]
    stamps = [pts for pts, _, _ in shown]
    has_stamps = bool(stamps) and None not in stamps and len(set(stamps)) == len(stamps)
    duration_s = 0.0
    if has_stamps:
        end = max(pts + duration for pts, duration, _ in shown)
        duration_s = float((end - min(stamps)) * stream.time_base)
    rate = float(stream.average_rate or 0.0)
    if duration_s <= 0.0:
        duration_s = len(shown) / rate if rate else 0.0
    return _Clip(
        timestamps=sorted(stamps) if has_stamps else [],
        key_timestamps=sorted(pts for pts, _, is_key in shown if is_key) if has_stamps else [],
        num_frames=len(shown),
        duration_s=duration_s,
        fps=len(shown) / duration_s if duration_s else rate,
    )


@dataclass(slots=True)
class _Kept:
    """The decoded frames, in one block that is made when the first one shows its size."""

    num_frames: int
    duration_s: float
    converter: FrameConverter
    budget: DecodeBudget
    policy: MediaPolicy
    _block: np.ndarray | None = field(default=None, init=False)
    _num_filled: int = field(default=0, init=False)

    def check(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) to keep of frames of this size. Raises MediaTooLarge."""
        least_pixels = self.budget.max_frame_pixels if self.budget.fast else None
        kept = shrunk_size(*size, least_pixels)
        check_clip(size, self.duration_s, self.num_frames, self.policy, kept_size=kept)
        return kept

    def start(self) -> None:
        """Forget the frames: another way to them is tried."""
        self._num_filled = 0

    def add(self, frame: Any) -> None:
        """Keep a frame of PyAV, upright. Raises MediaUnreadable where sizes change."""
        size = (frame.width, frame.height)  # not what the header says: it may lie
        pixels = self.converter.pixels(frame, self.check(size))
        if self._block is None:
            self._block = np.empty((self.num_frames, *pixels.shape), np.uint8)
        if pixels.shape != self._block.shape[1:]:
            raise MediaUnreadable("the frames of the clip change their size.")
        self._block[self._num_filled] = pixels
        self._num_filled += 1

    def repeat(self) -> None:
        """The newest frame again. Raises MediaUnreadable where there is none."""
        if self._block is None or not self._num_filled:
            raise MediaUnreadable("the clip has no frame that can be decoded.")
        self._block[self._num_filled] = self._block[self._num_filled - 1]
        self._num_filled += 1

    def frames(self) -> np.ndarray:
        """(num_frames, height, width, 3) uint8."""
        assert self._block is not None
        assert self._num_filled == self.num_frames
        return self._block


def _decode(container: Any, stream: Any, clip: _Clip, indices: Sequence[int], kept: _Kept) -> None:
    if clip.timestamps:
        targets = [clip.timestamps[index] for index in indices]
        if _by_seeking(container, stream, clip, targets, kept):
            return
        kept.start()
    _by_counting(container, stream, indices, kept)


def _by_seeking(
    container: Any, stream: Any, clip: _Clip, targets: Sequence[int], kept: _Kept
) -> bool:
    """Frames at these timestamps; False where a seek lands behind its target (no index)."""
    decoded: Iterator[Any] = iter(())
    num_keys_passed = -1
    for target in targets:
        num_keys = bisect_right(clip.key_timestamps, target)
        if num_keys > num_keys_passed:  # a key frame lies between: skip what is before it
            container.seek(target, stream=stream, backward=True)
            decoded = container.decode(stream)
        num_keys_passed = num_keys
        frame = next(
            (frame for frame in decoded if frame.pts is not None and frame.pts >= target), None
        )
        if frame is None or frame.pts != target:
            return False
        kept.add(frame)
    return True


def _by_counting(container: Any, stream: Any, indices: Sequence[int], kept: _Kept) -> None:
    """Frames by their place, decoding the clip through; one that breaks off repeats its last."""
    container.seek(0, backward=True)
    wanted, num_found = set(indices), 0
    for place, frame in enumerate(container.decode(stream)):
        if place in wanted:
            kept.add(frame)
            num_found += 1
        if num_found == len(wanted):
            break
    for _ in range(len(wanted) - num_found):
        kept.repeat()
