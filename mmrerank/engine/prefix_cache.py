"""Beginnings of prompts that stay between calls: their keys and values, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmrerank.caching import ByteLRU
from mmrerank.engine.attention import LayerStates
from mmrerank.engine.prefix_tree import PrefixTree, Segment

__all__ = ["MIN_PREFIX_TOKENS", "CachedPrefix", "PrefixCache", "known_places", "places_to_keep"]

# More would make the tree of a call larger than what they save.
_MAX_PREFIXES = 64
_MAX_NEW = 8
MIN_PREFIX_TOKENS = 16


@dataclass(frozen=True, slots=True, eq=False)
class CachedPrefix:
    """symbols: (num_tokens,) of the beginning; states: its keys and values in each layer."""

    symbols: np.ndarray
    states: LayerStates

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the states hold."""
        return sum(t.numel() * t.element_size() for pair in self.states for t in pair)

    def part(self, segment: Segment) -> LayerStates:
        """The states of a segment that lies in it."""
        at = slice(segment.start, segment.end)
        return [(key[:, :, at], value[:, :, at]) for key, value in self.states]


class PrefixCache:
    """Least-recently-used beginnings, up to `max_bytes`; 0 keeps none."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._prefixes: ByteLRU[bytes, CachedPrefix] = ByteLRU(
            max_bytes, lambda prefix: prefix.num_bytes
        )

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return self._prefixes.num_bytes

    def all(self) -> list[CachedPrefix]:
        """The beginnings that are held, the most recent ones."""
        return self._prefixes.values()[-_MAX_PREFIXES:]

    def touch(self, prefix: CachedPrefix) -> None:
        """Note that a beginning was of use."""
        self._prefixes.get(prefix.symbols.tobytes())

    def put(self, prefix: CachedPrefix) -> None:
        """Keep a beginning."""
        self._prefixes.get_or_make(prefix.symbols.tobytes(), lambda: prefix)

    def clear(self) -> None:
        """Forget everything."""
        self._prefixes.clear()


def known_places(
    tree: PrefixTree, num_prompts: int, cached: Sequence[CachedPrefix]
) -> dict[int, CachedPrefix]:
    """Segments that need no computing: those of cached beginnings, but where a score is read.

    tree: of the prompts, then the cached beginnings.
    """
    scored = set(tree.leaf_of[:num_prompts])
    known: dict[int, CachedPrefix] = {}
    for row, prefix in enumerate(cached, start=num_prompts):
        leaf = tree.leaf_of[row]
        for place in (*tree.chain(leaf), leaf):
            if place in scored:
                break  # nor what stands behind it: what is held stands in front of what is not
            known.setdefault(place, prefix)
    return known


def places_to_keep(tree: PrefixTree, num_prompts: int) -> list[int]:
    """Ends of the beginnings worth keeping: the longest shared ones; a lone prompt's own."""
    if num_prompts == 1:
        return [tree.leaf_of[0]]
    num_below: dict[int, int] = {}
    for leaf in tree.leaf_of[:num_prompts]:
        for place in tree.chain(leaf):
            num_below[place] = num_below.get(place, 0) + 1
    inner = {tree.segments[place].parent for place in num_below}
    ends = [place for place in num_below if place not in inner]
    return sorted(ends, key=lambda place: -num_below[place])[:_MAX_NEW]
