"""How a vendor's processor is asked for pictures that takes nothing but whole pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PairMethodSpec"]


@dataclass(frozen=True, slots=True)
class PairMethodSpec:
    """A method that takes a list of dicts, one a pair, and returns token ids and tensors.

    name: of the method. query, text, image: the fields of a dict; the picture is one of pillow, or
    "" where there is none. options: further arguments of the method, such that it neither pads nor
    cuts. placeholder: the word of the vocabulary that stands for one state of a picture.
    processor: arguments that the processor itself is made with, where the caller and the
    checkpoint's sentence-transformers files say nothing else.
    """

    name: str
    query: str
    text: str
    image: str
    placeholder: str
    options: Mapping[str, Any] = field(default_factory=dict)
    processor: Mapping[str, Any] = field(default_factory=dict)
