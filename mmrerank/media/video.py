"""Clips → the frames that the model sees, (num_frames, height, width, 3) uint8 RGB.

Frames are upright by the clip's rotation; pixels that are not square stay as they are stored, as
with the peers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mmrerank.errors import MediaUnreadable
from mmrerank.inputs.sniff import has_poor_timestamps
from mmrerank.media.arrays import to_numpy, to_uint8
from mmrerank.media.backend import decoder_backend
from mmrerank.media.encoded import Encoded, head_of, rewound
from mmrerank.media.guard import decoder_errors, first_working
from mmrerank.media.image import channels_last
from mmrerank.media.limits import check_clip
from mmrerank.media.opaque import rgb_of
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.sampling import UNKNOWN_FPS, GivenFrames, known, sample_frame_indices
from mmrerank.media.shrink import shrunk_size
from mmrerank.media.video_pyav import frames_by_pyav
from mmrerank.types import DecodeBudget, DecodedImage, DecodedVideo

__all__ = [
    "decode_video",
    "frames_by_torchcodec",
    "video_from_array",
    "video_from_decoder",
    "video_from_frames",
]


def decode_video(data: Encoded, budget: DecodeBudget, policy: MediaPolicy) -> DecodedVideo:
    """Decode the sampled frames of a clip. Size and duration are checked before.

    Raises MediaTooLarge, or MediaUnreadable where no frame can be had.
    """
    readers = [frames_by_pyav]
    # torchcodec 0.17 finds wrong frames, or none, where it has no good timestamps to seek by.
    if decoder_backend() == "torchcodec" and not has_poor_timestamps(head_of(data)):
        readers = [frames_by_torchcodec, frames_by_pyav]
    return first_working(
        [partial(read, data, budget, policy) for read in readers], "no clip that can be decoded"
    )


def frames_by_torchcodec(data: Encoded, budget: DecodeBudget, policy: MediaPolicy) -> DecodedVideo:
    """The sampled frames of a clip, by torchcodec."""
    from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined]
    from torchcodec.transforms import Resize  # type: ignore[attr-defined]

    def opened(**options: Any) -> Any:
        return VideoDecoder(rewound(data), dimension_order="NHWC", **options)

    least_pixels = budget.max_frame_pixels if budget.fast else None
    if least_pixels is None:
        return _sampled(opened(), budget, policy)
    facts = opened(seek_mode="approximate").metadata  # the header only, not a scan of the clip
    stored = (facts.width, facts.height)
    size = shrunk_size(*stored, least_pixels)
    if size == stored:
        return _sampled(opened(), budget, policy)
    return _sampled(opened(transforms=[Resize((size[1], size[0]))]), budget, policy, kept_size=size)


def video_from_decoder(decoder: Any, budget: DecodeBudget, policy: MediaPolicy) -> DecodedVideo:
    """The sampled frames of a torchcodec VideoDecoder."""
    with decoder_errors("the decoder gives no frames"):
        clip = _sampled(decoder, budget, policy)
    # The caller's decoder may give channels first or last, and other dtypes.
    frames = rgb_of(to_uint8(channels_last(clip.frames, "a clip")), budget.transparency)
    return DecodedVideo(frames, clip.fps, clip.frame_indices, clip.total_num_frames)


def _sampled(
    decoder: Any,
    budget: DecodeBudget,
    policy: MediaPolicy,
    *,
    kept_size: tuple[int, int] | None = None,
) -> DecodedVideo:
    """Frames as the decoder gives them; kept_size: where it was told to shrink them."""
    facts = decoder.metadata
    total, fps, duration_s = facts.num_frames or 0, known(facts.average_fps), facts.duration_seconds
    indices = sample_frame_indices(total, fps or 0.0, known(duration_s), budget)
    distinct = sorted(set(indices))
    size = (facts.width or 0, facts.height or 0)
    check_clip(size, duration_s, len(distinct), policy, kept_size=kept_size)
    frames = to_numpy(decoder.get_frames_at(distinct).data, policy)
    if len(distinct) < len(indices):  # picking copies, so only where one is repeated
        frames = frames[np.searchsorted(distinct, indices)]
    return DecodedVideo(frames, fps or UNKNOWN_FPS, indices, total)


# ---------------------------------------------------------------- frames that the caller has


def video_from_array(
    value: Any, metadata: Mapping[str, Any] | None, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedVideo:
    """A clip as (T, H, W, C) or (T, C, H, W), also with a leading axis of 1; C is 1, 3 or 4."""
    array = to_numpy(value, policy)
    if array.ndim == 5 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 4:
        raise MediaUnreadable(f"an array of shape {array.shape} is no clip; expected 4 dimensions.")
    array = channels_last(array, "a clip")
    given = GivenFrames.read(metadata)
    positions = given.positions(array.shape[0], budget)
    size = (array.shape[2], array.shape[1])
    check_clip(size, given.duration_s, len(positions), policy)
    frames = rgb_of(to_uint8(array[list(positions)]), budget.transparency)
    return _from_given(frames, positions, given, array.shape[0])


def video_from_frames(
    frames: Sequence[DecodedImage], positions: tuple[int, ...], given: GivenFrames, num_given: int
) -> DecodedVideo:
    """A clip of pictures: frames[i] is the decoded one at positions[i] of the caller's list."""
    shapes = {frame.pixels.shape for frame in frames}
    if len(shapes) != 1:
        sizes = ", ".join(f"{shape[1]}x{shape[0]}" for shape in sorted(shapes)[:4])
        raise MediaUnreadable(f"the frames of a clip have one size, got {sizes} px.")
    return _from_given(np.stack([frame.pixels for frame in frames]), positions, given, num_given)


def _from_given(
    frames: np.ndarray, positions: tuple[int, ...], given: GivenFrames, num_given: int
) -> DecodedVideo:
    indices = tuple(given.index_of(position) for position in positions)
    return DecodedVideo(frames, given.fps or UNKNOWN_FPS, indices, given.total(num_given))
