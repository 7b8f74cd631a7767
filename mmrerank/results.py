"""Scores back in the caller's order, or sorted into a Ranking."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmrerank.types import DocumentError, Score, Usage

__all__ = ["Detail", "Ranking", "details_of", "rank_scores", "usage_of"]

Result = Score | DocumentError


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of one pair beside its score; error is None where it was scored.

    num_truncated: tokens of text that were cut off. cut_s: seconds of sound behind what the model
    hears.
    """

    index: int
    num_tokens: int = 0
    num_truncated: int = 0
    error: str | None = None
    cut_s: float = 0.0

    @property
    def truncated(self) -> bool:
        """Whether something of the document was cut off."""
        return self.num_truncated > 0 or self.cut_s > 0


@dataclass(init=False, repr=False)
class Ranking(list[dict[str, Any]]):
    """Documents, best first: a list of plain dicts with `corpus_id` and `score`.

    `text` is there when documents were asked for, `error` only where a document could not be scored
    (its score is NaN, it stands last). details[i] belongs to the i-th entry.
    """

    usage: Usage = field(default_factory=Usage)
    details: list[Detail] = field(default_factory=list)

    def __init__(
        self,
        entries: Sequence[dict[str, Any]] = (),
        *,
        usage: Usage | None = None,
        details: Sequence[Detail] = (),
    ) -> None:
        super().__init__(entries)
        self.usage = usage or Usage()
        self.details = list(details)

    def __repr__(self) -> str:
        return list.__repr__(self)

    def __eq__(self, other: object) -> bool:
        return list.__eq__(self, other)  # a ranking equals the peer's plain list

    __hash__ = None

    def to_html(self) -> str:
        """A small table for a page or a notebook; everything from outside is escaped."""
        rows = "".join(
            f"<tr><td>{place}</td><td>{entry['corpus_id']}</td><td>{entry['score']:.3f}</td>"
            f"<td>{html.escape(str(entry.get('error') or entry.get('text', '')))}</td></tr>"
            for place, entry in enumerate(self, start=1)
        )
        head = "<tr><th>rank</th><th>document</th><th>score</th><th></th></tr>"
        return f"<table>{head}{rows}</table>"

    _repr_html_ = to_html


def rank_scores(
    results: Sequence[Result], *, documents: Sequence[Any] | None, top_k: int | None
) -> Ranking:
    """Sort results of one query, best first; equal scores keep the caller's order, errors stand
    last.

    documents: added as `text` when given.
    """
    entries = [_entry(result, documents) for result in results]
    order = sorted(
        range(len(entries)),
        key=lambda i: (math.isnan(entries[i]["score"]), -entries[i]["score"], i),
    )
    details = details_of(results)
    kept = order[:top_k]
    return Ranking(
        [entries[i] for i in kept], usage=usage_of(results), details=[details[i] for i in kept]
    )


def _entry(result: Result, documents: Sequence[Any] | None) -> dict[str, Any]:
    score = (
        math.nan
        if isinstance(result, DocumentError)
        else float(np.asarray(result.value).reshape(()))
    )
    entry: dict[str, Any] = {"corpus_id": result.index, "score": score}
    if documents is not None:
        entry["text"] = documents[result.index]
    if isinstance(result, DocumentError):
        entry["error"] = result.message
    return entry


def details_of(results: Sequence[Result]) -> list[Detail]:
    """One detail a result, in the same order."""
    return [
        Detail(result.index, error=result.message)
        if isinstance(result, DocumentError)
        else Detail(
            result.index,
            num_tokens=result.num_tokens,
            num_truncated=result.num_truncated,
            cut_s=result.cut_s,
        )
        for result in results
    ]


def usage_of(results: Sequence[Result]) -> Usage:
    """Tokens, pairs, truncated documents and errors of a call."""
    total = Usage()
    for result in results:
        if isinstance(result, DocumentError):
            total += Usage(num_errors=1)
        else:
            total += Usage(1, result.num_tokens, int(result.is_cut))
    return total
