"""Checks of a picture, sound or clip against the policy, made before anything is decoded."""

from __future__ import annotations

from mmrerank.errors import MediaTooLarge
from mmrerank.media.policy import MediaPolicy

__all__ = ["check_clip", "check_duration", "check_pixels"]


def check_pixels(width: int, height: int, policy: MediaPolicy) -> None:
    """Raises MediaTooLarge for a picture or frame above the policy's pixels."""
    if width * height > policy.max_pixels:
        raise MediaTooLarge(
            f"{width}x{height} px is {width * height:,} pixels, the policy allows "
            f"{policy.max_pixels:,}. Shrink it or pass MediaPolicy(max_pixels=...)."
        )


def check_duration(duration_s: float | None, policy: MediaPolicy) -> None:
    """Raises MediaTooLarge for a sound or clip longer than the policy allows; None = not known."""
    if duration_s is not None and duration_s > policy.max_media_s:
        raise MediaTooLarge(
            f"it lasts {duration_s:,.0f} s, the policy allows {policy.max_media_s:,.0f} s. "
            "Cut it or pass MediaPolicy(max_media_s=...)."
        )


def check_clip(
    width: int, height: int, duration_s: float | None, num_frames: int, policy: MediaPolicy
) -> None:
    """Raises MediaTooLarge for frames that are too large or too many, or a clip too long."""
    check_pixels(width, height, policy)
    check_duration(duration_s, policy)
    if num_frames > policy.max_frames:
        raise MediaTooLarge(
            f"{num_frames:,} frames would be decoded, the policy allows {policy.max_frames:,}. "
            "Pass MediaPolicy(max_frames=...)."
        )
