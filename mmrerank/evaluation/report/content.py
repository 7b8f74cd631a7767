"""What a report shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["EvalReport", "ScoredExample", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its title, the names of the columns, and rows of texts or numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]


@dataclass(frozen=True, slots=True)
class ScoredExample:
    """One pair, shown in words, with its label and score."""

    query: str
    document: str
    label: float
    score: float


@dataclass(frozen=True, slots=True)
class EvalReport:
    """Everything on the page. What is empty is left out.

    facts: short lines on top, such as the model's and the data's name. headline: (name, value) of
    the number to look at first. scores, labels: one a pair; labels above 0 are positives.
    ndcg: nDCG by curve and cut-off. log_history: that of a trainer_state.json. examples: pairs to
    look at. notes: what has to be known of the numbers.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    headline: tuple[str, float] | None = None
    tables: Sequence[Table] = ()
    scores: Sequence[float] = ()
    labels: Sequence[float] = ()
    ndcg: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    log_history: Sequence[Mapping[str, Any]] = ()
    examples: Sequence[ScoredExample] = ()
    notes: Sequence[str] = ()
