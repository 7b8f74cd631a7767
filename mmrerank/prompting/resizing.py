"""Pictures that were shrunk while they were decoded get the size that the whole ones would get."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

__all__ = ["resize_as_whole"]


def resize_as_whole(
    pixels: Tensor, full_size: tuple[int, int], processor: Any, told: Mapping[str, Any]
) -> Tensor:
    """Resize to what the media processor would make of the whole picture.

    A side that was rounded while shrinking could otherwise tip the number of patches, and with it
    the score. pixels: (3, height, width) uint8. full_size: (height, width) before shrinking. told:
    the arguments that the processor is called with. Given back as it is where the processor counts
    no patches.
    """
    rule = _rule_of(processor)
    if rule is None:
        return pixels
    from torchvision.transforms.v2 import functional

    size = told.get("size") or processor.size
    height, width = rule(
        *full_size,
        factor=processor.patch_size * processor.merge_size,
        min_pixels=size["shortest_edge"],
        max_pixels=size["longest_edge"],
    )
    resized: Tensor = functional.resize(
        pixels, [height, width], interpolation=functional.InterpolationMode.BICUBIC, antialias=True
    )
    return resized


def _rule_of(processor: Any) -> Callable[..., tuple[int, int]] | None:
    """transformers keeps the rule beside the class of a processor that cuts into patches."""
    if not hasattr(processor, "merge_size"):
        return None
    return getattr(sys.modules[type(processor).__module__], "smart_resize", None)
