"""Checks of a picture, sound or clip against the policy, made before anything is decoded."""

from __future__ import annotations

from mmrerank.errors import MediaTooLarge
from mmrerank.media.policy import MediaPolicy

__all__ = ["check_clip", "check_decoded", "check_duration", "check_pixels"]


def check_pixels(width: int, height: int, policy: MediaPolicy) -> None:
    """Raises MediaTooLarge for a picture or frame above the policy's pixels."""
    if width * height > policy.max_pixels:
        raise MediaTooLarge(
            f"{width}x{height} px is {width * height:,} pixels, the policy allows "
            f"{policy.max_pixels:,}. Shrink it or pass MediaPolicy(max_pixels=...)."
        )


def check_decoded(num_bytes: float, policy: MediaPolicy, what: str) -> None:
    """Raises MediaTooLarge for what would fill more memory than the policy allows."""
    if num_bytes > policy.max_decoded_bytes:
        raise MediaTooLarge(
            f"{what} is {num_bytes:,.0f} bytes in memory, the policy allows "
            f"{policy.max_decoded_bytes:,}. Shrink or cut it, pass fast_decode=True for large "
            "pictures and clips, or pass MediaPolicy(max_decoded_bytes=...)."
        )


def check_duration(duration_s: float | None, policy: MediaPolicy) -> None:
    """Raises MediaTooLarge for a sound or clip longer than the policy allows; None = not known."""
    if duration_s is not None and duration_s > policy.max_media_s:
        raise MediaTooLarge(
            f"it lasts {duration_s:,.0f} s, the policy allows {policy.max_media_s:,.0f} s. "
            "Cut it or pass MediaPolicy(max_media_s=...)."
        )


def check_clip(
    size: tuple[int, int],
    duration_s: float | None,
    num_frames: int,
    policy: MediaPolicy,
    *,
    kept_size: tuple[int, int] | None = None,
) -> None:
    """Raises MediaTooLarge for frames that are too large or too many, or a clip too long.

    size: (width, height) as stored; kept_size: as they are kept in memory, None = the same.
    """
    check_pixels(*size, policy)
    check_duration(duration_s, policy)
    if num_frames > policy.max_frames:
        raise MediaTooLarge(
            f"{num_frames:,} frames would be decoded, the policy allows {policy.max_frames:,}. "
            "Pass MediaPolicy(max_frames=...)."
        )
    width, height = kept_size or size
    what = f"a clip of {num_frames:,} frames of {width}x{height} px"
    check_decoded(num_frames * width * height * 3, policy, what)
