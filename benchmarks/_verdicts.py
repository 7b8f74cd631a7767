"""A figure that shall stay within a bound, where no ratio of two contestants says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Verdict", "verdict_lines"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured and within what it shall be. at_least, at_most: None asks for nothing."""

    name: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the value lies within its bounds; what is no number (NaN) does not."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def as_json(self) -> dict[str, Any]:
        """All that is known, in plain values."""
        return {**asdict(self), "met": self.is_met}


def verdict_lines(verdicts: Sequence[Verdict]) -> str:
    """A line each."""
    return "".join(f"  {_line(verdict)}\n" for verdict in verdicts)


def _line(verdict: Verdict) -> str:
    bounds = (("at least", verdict.at_least), ("at most", verdict.at_most))
    asked = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    state = "met" if verdict.is_met else "missed"
    return f"{verdict.name}: {verdict.value:.3g}, {asked} is asked: {state}"
