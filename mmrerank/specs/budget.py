"""How much of a medium reaches the model: limits of decoding and of resizing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mmrerank.errors import SpecError
from mmrerank.types import DecodeBudget

__all__ = ["BudgetSpec", "PixelBudget"]


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """Pixels that a picture, a frame or a clip may use after resizing."""

    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise SpecError(
                f"min_pixels={self.min_pixels} and max_pixels={self.max_pixels}: "
                "need 0 < min_pixels <= max_pixels"
            )


def _enough(num_pixels: int) -> int:
    """What to leave for a model that takes so many: more for a small one, which sees each pixel.

    Up to a megapixel or so they cost little.
    """
    return max(num_pixels, min(_SURPLUS * num_pixels, 1_500_000))


_SURPLUS = 256


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """Limits of decoding, and of resizing; None leaves resizing to the checkpoint's own media
    processor.

    video: pixels as the checkpoint's media processor counts them (of a frame, or of the clip).
    frame: pixels of each frame, for media processors that count all frames of a clip together.
    processor_kwargs: by "image", "audio" and "video", further arguments that the checkpoint's ST
    files want handed to its media processor.
    """

    decode: DecodeBudget = field(default_factory=DecodeBudget)
    image: PixelBudget | None = None
    video: PixelBudget | None = None
    frame: PixelBudget | None = None
    processor_kwargs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def decoding(self) -> DecodeBudget:
        """`decode`, with what a fast decoder may shrink to: the pixels that the model takes."""
        if not self.decode.fast:
            return self.decode
        frame = self.frame or self.video
        image_pixels = self.image.max_pixels if self.image else self.decode.max_image_pixels
        frame_pixels = frame.max_pixels if frame else self.decode.max_frame_pixels
        return replace(
            self.decode,
            max_image_pixels=image_pixels and _enough(image_pixels),
            max_frame_pixels=frame_pixels and _enough(frame_pixels),
        )
