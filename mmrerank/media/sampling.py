"""Which frames of a clip the model sees. Plain integers, no decoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmrerank.errors import MediaUnreadable, shorten
from mmrerank.types import DecodeBudget

__all__ = [
    "UNKNOWN_FPS",
    "GivenFrames",
    "all_indices",
    "even_indices",
    "known",
    "sample_frame_indices",
]

# Source: transformers 5.23, what its video processors take where the metadata has no fps.
UNKNOWN_FPS = 24.0


def sample_frame_indices(
    total: int, fps: float, duration: float | None, budget: DecodeBudget
) -> tuple[int, ...]:
    """Indices of the frames to take, evenly from the first to the last.

    total, fps, duration: frames, frames per second and seconds of the clip; duration None = total
    / fps. Their number is duration · budget.fps within [min_frames, max_frames], at most the clip's
    own, floored to budget.frame_multiple. A clip shorter than that multiple repeats its last frame.
    Source: transformers 5.23, Qwen3VLVideoProcessor.sample_frames (frame_multiple 1), and
    qwen-vl-utils 0.0.14, smart_nframes (frame_multiple 2).

    >>> sample_frame_indices(50, 25.0, 2.0, DecodeBudget(fps=2.0, min_frames=4))
    (0, 16, 33, 49)
    """
    seconds = duration if duration else (total / fps if fps else 0.0)
    # Rounded: seconds come from sums of time stamps, and 3.9999999 frames are 4.
    return even_indices(total, int(round(seconds * budget.fps, 6)), budget)


def even_indices(total: int, wanted: int, budget: DecodeBudget) -> tuple[int, ...]:
    """About `wanted` of `total` indices, by the limits of the budget.

    Raises MediaUnreadable for a clip without frames.
    """
    if total < 1:
        raise MediaUnreadable("the clip has no frames.")
    multiple = budget.frame_multiple
    at_least = max(wanted, budget.min_frames, multiple)
    num = min(at_least, _most(budget), total) // multiple * multiple
    if num == 0:
        return (*range(total), *[total - 1] * (multiple - total))
    return tuple(int(index) for index in np.rint(np.linspace(0, total - 1, num)))


def all_indices(total: int, budget: DecodeBudget) -> tuple[int, ...]:
    """Every index, the last one repeated up to the multiple; evenly thinned above max_frames."""
    if total > _most(budget) or total < 1:
        return even_indices(total, total, budget)
    return (*range(total), *[total - 1] * (-total % budget.frame_multiple))


def _most(budget: DecodeBudget) -> int:
    return max(
        budget.frame_multiple, budget.max_frames // budget.frame_multiple * budget.frame_multiple
    )


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
        given: Any = metadata
        try:
            given = {key: value for key, value in (metadata or {}).items() if value is not None}
            indices = given.get("frames_indices")
            return cls(
                fps=known(given.get("fps")),
                frames_indices=None if indices is None else tuple(int(index) for index in indices),
                total_num_frames=int(given["total_num_frames"])
                if "total_num_frames" in given
                else None,
                duration_s=known(given.get("duration")),
            )
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise MediaUnreadable(
                f"video_metadata {shorten(given)} cannot be read: {error}. Expected e.g. "
                '{"fps": 2.0, "frames_indices": [0, 12], "total_num_frames": 24}.'
            ) from error

    def positions(self, num_given: int, budget: DecodeBudget) -> tuple[int, ...]:
        """Which of the given frames to keep.

        Sampled already (frames_indices): all, evenly thinned above max_frames. Else as
        `sample_frame_indices`; frames of unknown speed are taken for 24 a second, as in
        transformers, so a list of frames that should all be kept needs frames_indices.
        """
        if self.frames_indices is not None and len(self.frames_indices) != num_given:
            raise MediaUnreadable(
                f"video_metadata names {len(self.frames_indices)} frames_indices for {num_given} "
                f"frames."
            )
        if self.frames_indices is not None:
            return all_indices(num_given, budget)
        return sample_frame_indices(num_given, self.fps or UNKNOWN_FPS, self.duration_s, budget)

    def index_of(self, position: int) -> int:
        """Where a given frame stood in the clip."""
        return position if self.frames_indices is None else self.frames_indices[position]

    def total(self, num_given: int) -> int:
        """Frames of the clip that the given ones come from."""
        last = max(self.frames_indices) + 1 if self.frames_indices else num_given
        return max(self.total_num_frames or 0, last)


def known(value: Any) -> float | None:
    """A rate or duration where it is a number above 0, else None. Raises as float() does."""
    number = None if value is None else float(value)
    return number if number and number > 0 and np.isfinite(number) else None
