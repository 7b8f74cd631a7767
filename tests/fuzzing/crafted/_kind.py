"""What one crafted file is: its bytes, how it is handed in, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mmrerank.types import Audio, Image, Video

__all__ = ["Crafted", "Expected", "broken", "either", "good"]

Expected: TypeAlias = Literal["value", "error", "either"]
Wrap: TypeAlias = type[Image] | type[Audio] | type[Video]


@dataclass(frozen=True, slots=True)
class Crafted:
    """make: its bytes. wrap: the part that they are given as. page: of a PDF."""

    wrap: Wrap
    make: Callable[[], bytes]
    expected: Expected
    page: int | None = None


def good(wrap: Wrap, make: Callable[[], bytes]) -> Crafted:
    """Odd, and right: it must load."""
    return Crafted(wrap, make, "value")


def broken(wrap: Wrap, make: Callable[[], bytes]) -> Crafted:
    """It must be refused."""
    return Crafted(wrap, make, "error")


def either(wrap: Wrap, make: Callable[[], bytes]) -> Crafted:
    """It may load or be refused, within the bounds of time and memory."""
    return Crafted(wrap, make, "either")
