"""What `from_input_examples` reads; mmrerank.readers.InputExample is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["Example"]


class Example(Protocol):
    """A query and a document in `texts`, and their label."""

    @property
    def texts(self) -> Sequence[Any] | None:
        """The two sides of a pair."""

    @property
    def label(self) -> float:
        """Class or score."""
