"""Prompts that begin alike → a tree in which each shared beginning stands once. Plain integers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

__all__ = ["PrefixTree", "Segment", "build_tree", "flat_tree"]

# Splitting costs one more attention call a layer; below so many saved tokens it does not pay.
MIN_SAVED_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens [start, end) of prompt `row`, the same in all prompts below it.

    parent: index of the segment that stands in front of it, -1 at the beginning of a prompt.
    """

    row: int
    start: int
    end: int
    parent: int

    @property
    def num_tokens(self) -> int:
        """Length in tokens."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Segments in depth-first order, each behind its parent; leaf_of[row] holds its last token."""

    segments: tuple[Segment, ...]
    leaf_of: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """Distinct tokens: what has to be computed."""
        return sum(segment.num_tokens for segment in self.segments)

    def chain(self, place: int) -> list[int]:
        """The segments that stand in front of one, from the beginning of the prompt."""
        found: list[int] = []
        while (place := self.segments[place].parent) >= 0:
            found.append(place)
        return found[::-1]

    def locate(self, row: int, position: int) -> int:
        """The segment that holds a position of a prompt. Raises IndexError outside of it."""
        place = self.leaf_of[row]
        while place >= 0:
            segment = self.segments[place]
            if segment.start <= position < segment.end:
                return place
            place = segment.parent
        raise IndexError(f"position {position} is not in prompt {row}")


def flat_tree(lengths: Sequence[int], names: Sequence[Hashable] = ()) -> PrefixTree:
    """One segment a prompt, for models that read in both directions; prompts of equal names are
    equal and share theirs. names: () = all differ.
    """
    leaf_of: dict[Hashable, int] = {}
    segments: list[Segment] = []
    for row, (length, name) in enumerate(zip(lengths, names or range(len(lengths)), strict=True)):
        if leaf_of.setdefault(name, len(segments)) == len(segments):
            segments.append(Segment(row, 0, length, -1))
    leaves = (leaf_of[name] for name in names or range(len(lengths)))
    return PrefixTree(tuple(segments), tuple(leaves))


def build_tree(rows: Sequence[np.ndarray]) -> PrefixTree:
    """The tree of prompts given as symbols.

    rows: each (num_tokens,) int64; equal symbols are equal tokens, and media tokens have symbols of
    their own (see `symbols_of`), so a split never falls inside a medium. Time is that of sorting.
    """
    # As big-endian bytes with the sign bit turned, numbers sort as their bytes do.
    order = sorted(
        range(len(rows)),
        key=lambda row: (rows[row].astype(np.int64) ^ np.int64(-(2**63))).astype(">i8").tobytes(),
    )
    shared = [_num_shared(rows[first], rows[second]) for first, second in pairwise(order)]
    return _Builder([len(row) for row in rows], order, shared).build()


def _num_shared(first: np.ndarray, second: np.ndarray) -> int:
    """Length of the common beginning."""
    length = min(len(first), len(second))
    differs = np.flatnonzero(first[:length] != second[:length])
    return int(differs[0]) if len(differs) else length


class _Builder:
    """order: prompts sorted; shared[i]: what order[i] and order[i + 1] begin with in common."""

    def __init__(self, lengths: list[int], order: list[int], shared: list[int]) -> None:
        self._lengths = lengths
        self._order = order
        self._shared = shared
        self._segments: list[Segment] = []
        self._leaf_of = [-1] * len(lengths)

    def build(self) -> PrefixTree:
        # (first, last + 1, tokens placed, parent) of sorted prompts; a stack, as chains can be long
        waiting = [(0, len(self._order), 0, -1)] if self._order else []
        while waiting:
            first, last, start, parent = waiting.pop()
            if last - first == 1:
                row = self._order[first]
                self._leaf_of[row] = self._add(row, start, self._lengths[row], parent)
            else:
                waiting += reversed(self._split(first, last, start, parent))
        return PrefixTree(tuple(self._segments), tuple(self._leaf_of))

    def _split(
        self, first: int, last: int, start: int, parent: int
    ) -> list[tuple[int, int, int, int]]:
        """Place what all of a range share, and give back its branches."""
        depth = min(self._shared[first : last - 1])
        cuts = [i + 1 for i in range(first, last - 1) if self._shared[i] == depth]
        if (depth - start) * len(cuts) >= MIN_SAVED_TOKENS:
            # The first row given stands for all: callers put those in front that they hold.
            parent = self._add(min(self._order[first:last]), start, depth, parent)
            start = depth
        edges = [first, *cuts, last]
        return [(a, b, start, parent) for a, b in pairwise(edges)]

    def _add(self, row: int, start: int, end: int, parent: int) -> int:
        """The index of a new segment; of the parent where nothing is left of the prompt."""
        if end == start and parent >= 0:
            return parent
        self._segments.append(Segment(row, start, end, parent))
        return len(self._segments) - 1
