"""Which frames of a clip the model sees. Plain integers, no decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrerank.errors import MediaUnreadable, shorten
from mmrerank.types import DecodeBudget

__all__ = ["UNKNOWN_FPS", "GivenFrames", "all_indices", "even_indices", "sample_frame_indices"]

UNKNOWN_FPS = (
    24.0  # Source: transformers 5.23, what its video processors take where metadata has no fps
)


def sample_frame_indices(
    total: int, fps: float, duration: float | None, budget: DecodeBudget
) -> tuple[int, ...]:
    """Indices of the frames to take, evenly from the first to the last.

    total, fps, duration: frames, frames per second and seconds of the clip; duration None = total
                          / fps.
    Their number is duration · budget.fps rounded to budget.frame_multiple, within [min_frames,
    max_frames] and at most the clip's own, floored to the multiple. A clip with fewer frames than
    the least number repeats its last frame.

    >>> sample_frame_indices(50, 25.0, 2.0, DecodeBudget(fps=2.0, min_frames=4))
    (0, 16, 33, 49)
    """
    seconds = duration if duration else (total / fps if fps else 0.0)
    multiple = budget.frame_multiple
    wanted = round(seconds * budget.fps / multiple) * multiple
    return even_indices(total, wanted, budget)


def even_indices(total: int, wanted: int, budget: DecodeBudget) -> tuple[int, ...]:
    """About `wanted` of `total` indices; the last one repeats where there are too few.

    Raises MediaUnreadable for a clip without frames.
    """
    if total < 1:
        raise MediaUnreadable("the clip has no frames.")
    least, most = _limits(budget)
    if total < least:
        return (*range(total), *[total - 1] * (least - total))
    multiple = budget.frame_multiple
    num = max(least, min(wanted, most, total // multiple * multiple))
    return tuple(int(index) for index in np.rint(np.linspace(0, total - 1, num)))


def all_indices(total: int, budget: DecodeBudget) -> tuple[int, ...]:
    """Every index, the last one repeated up to the multiple; evenly thinned above max_frames."""
    least, most = _limits(budget)
    if total >= most or total < 1:
        return even_indices(total, most, budget)
    num = max(least, -(-total // budget.frame_multiple) * budget.frame_multiple)
    return (*range(total), *[total - 1] * (num - total))


def _limits(budget: DecodeBudget) -> tuple[int, int]:
    """Least and largest number of frames, as multiples."""
    multiple = budget.frame_multiple
    most = max(multiple, budget.max_frames // multiple * multiple)
    return min(most, -(-max(1, budget.min_frames) // multiple) * multiple), most


@dataclass(frozen=True, slots=True)
class GivenFrames:
    """What `video_metadata` says of frames that the caller hands over. None = not said.

    frames_indices: where each given frame stood in the clip; then they are sampled already.
    """

    fps: float | None = None
    frames_indices: tuple[int, ...] | None = None
    total_num_frames: int | None = None
    duration_s: float | None = None

    @classmethod
    def read(cls, metadata: Mapping[str, Any] | None) -> GivenFrames:
        """From what transformers calls video metadata. Raises MediaUnreadable for odd values."""
        given = {key: value for key, value in (metadata or {}).items() if value is not None}
        try:
            indices = given.get("frames_indices")
            return cls(
                fps=_positive(given.get("fps")),
                frames_indices=None if indices is None else tuple(int(index) for index in indices),
                total_num_frames=int(given["total_num_frames"])
                if "total_num_frames" in given
                else None,
                duration_s=_positive(given.get("duration")),
            )
        except (TypeError, ValueError) as error:
            raise MediaUnreadable(
                f"video_metadata {shorten(given)} cannot be read: {error}. Expected e.g. "
                '{"fps": 2.0, "frames_indices": [0, 12], "total_num_frames": 24}.'
            ) from error

    def positions(self, num_given: int, budget: DecodeBudget) -> tuple[int, ...]:
        """Which of the given frames to keep.

        Sampled already (frames_indices), or of unknown speed: all, evenly thinned above
        max_frames. Else as `sample_frame_indices`. Source of the second rule: the
        Qwen3-VL-Reranker script, frame lists.
        """
        if self.frames_indices is not None and len(self.frames_indices) != num_given:
            raise MediaUnreadable(
                f"video_metadata names {len(self.frames_indices)} frames_indices for {num_given} "
                f"frames."
            )
        if self.frames_indices is None and self.fps is not None:
            return sample_frame_indices(num_given, self.fps, self.duration_s, budget)
        return all_indices(num_given, budget)

    def index_of(self, position: int) -> int:
        """Where a given frame stood in the clip."""
        return position if self.frames_indices is None else self.frames_indices[position]

    def total(self, num_given: int) -> int:
        """Frames of the clip that the given ones come from."""
        last = max(self.frames_indices) + 1 if self.frames_indices else num_given
        return max(self.total_num_frames or 0, last)


def _positive(value: Any) -> float | None:
    number = None if value is None else float(value)
    return number if number and number > 0 and np.isfinite(number) else None
