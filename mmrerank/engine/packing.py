"""A prefix tree → batches of unique tokens, each one packed row. Pure integers: no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import ceil

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.prefix_tree import PrefixTree

__all__ = ["AttentionUnit", "PackedBatch", "pack_batches"]

# Short neighbours share one attention call: the calls cost more than the masked-out products.
_UNIT_TOKENS = 128

# Smaller batches are not worth a lane of their own.
_LEAST_TOKENS = 128


@dataclass(frozen=True, slots=True)
class AttentionUnit:
    """Neighbouring segments with the same segments in front of them; one attention call.

    start:   of its first token in the row. lengths: tokens of each segment; they do not see each
             other. position: of a segment's first token in its prompt.
    past:    places of segments in front that were computed in an earlier batch, in order.
    ranges:  [start, end) in this row of the segments in front that follow those.
    """

    start: int
    lengths: tuple[int, ...]
    position: int
    past: tuple[int, ...]
    ranges: tuple[tuple[int, int], ...]

    @property
    def end(self) -> int:
        """Behind its last token in the row."""
        return self.start + sum(self.lengths)


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """One row of unique tokens.

    spans: the tree's segments in it: place -> [start, end) in the row, in the row's order.
    rows:  prompts that are scored with it.
    keep:  places of this row that a later batch needs; drop: those that none needs any more.
    """

    spans: dict[int, tuple[int, int]]
    units: tuple[AttentionUnit, ...]
    rows: tuple[int, ...]
    keep: frozenset[int]
    drop: frozenset[int]

    @property
    def num_tokens(self) -> int:
        """Length of the row."""
        return sum(end - start for start, end in self.spans.values())


def pack_batches(
    tree: PrefixTree,
    num_prompts: int,
    budget: TokenBudget,
    *,
    known: Collection[int] = (),
    wanted: Collection[int] = (),
    num_lanes: int = 1,
) -> list[PackedBatch]:
    """Batches in the tree's order, each of at most the budget's tokens and pairs.

    num_prompts: the first rows of the tree, those that are scored; of the others nothing is
    computed. known: places that need no computing. wanted: places whose states the caller keeps.
    num_lanes: batches that run side by side; there are as many in each, of about the same size, and
    of half of it at the end, so that no lane waits long for the others.
    A segment is never split: one alone always fits.
    """
    rows_at: dict[int, list[int]] = {}
    for row, leaf in enumerate(tree.leaf_of[:num_prompts]):
        rows_at.setdefault(leaf, []).append(row)
    needed = {place for leaf in rows_at for place in (*tree.chain(leaf), leaf)}
    computed = sorted(needed - set(known))
    ends = _even_ends(tree, computed, budget, num_lanes)
    cuts = _cut(tree, budget, computed, rows_at, ends)
    cuts = _stems_first(cuts, _last_uses(tree, cuts), num_lanes)
    last_use = _last_uses(tree, cuts)
    batches = []
    for number, places in enumerate(cuts):
        spans = _spans(tree, places)
        batches.append(
            PackedBatch(
                spans=spans,
                units=tuple(_units(tree, spans)),
                rows=tuple(row for place in places for row in rows_at.get(place, ())),
                keep=frozenset(
                    place for place in places if last_use[place] > number or place in wanted
                ),
                drop=frozenset(place for place, last in last_use.items() if last == number),
            )
        )
    return batches


def _cut(
    tree: PrefixTree,
    budget: TokenBudget,
    needed: Sequence[int],
    rows_at: dict[int, list[int]],
    ends: Sequence[float],
) -> list[list[int]]:
    """The places of each batch. ends: after how many tokens batches end where the budget allows as
    many.
    """
    cuts: list[list[int]] = []
    num_tokens = num_rows = num_before = 0
    for place in needed:
        segment = tree.segments[place]
        own_rows = len(rows_at.get(place, ()))
        is_full = budget.is_exceeded(num_tokens + segment.num_tokens, num_rows + own_rows)
        is_even = (
            0 < len(cuts) <= len(ends) and num_before + segment.num_tokens / 2 > ends[len(cuts) - 1]
        )
        if not cuts or (cuts[-1] and (is_full or is_even)):
            cuts.append([])
            num_tokens = num_rows = 0
        cuts[-1].append(place)
        num_tokens += segment.num_tokens
        num_before += segment.num_tokens
        num_rows += own_rows
    return cuts


def _even_ends(
    tree: PrefixTree, places: Sequence[int], budget: TokenBudget, num_lanes: int
) -> list[float]:
    """Where batches end so that all lanes have as much to do; none where there is one lane."""
    lengths = [tree.segments[place].num_tokens for place in places]
    num_tokens = sum(lengths)
    if num_lanes == 1 or num_tokens < num_lanes * _LEAST_TOKENS:
        return []
    most = num_tokens if budget.max_tokens is None else budget.max_tokens
    # A batch may end half a segment behind the even size.
    room = max(most - max(lengths) / 2, most / 2, 1)
    num_batches = ceil(num_tokens / room / num_lanes) * num_lanes
    size = num_tokens / num_batches
    num_halved = num_lanes if num_batches > 2 * num_lanes and size >= 4 * _LEAST_TOKENS else 0
    sizes = [size] * (num_batches - num_halved) + [size / 2] * (2 * num_halved)
    return list(accumulate(sizes))


def _stems_first(
    cuts: list[list[int]], last_use: Mapping[int, int], num_lanes: int
) -> list[list[int]]:
    """What later batches build on is a batch of its own, so that all others can run side by side;
    where none could, that gains nothing.
    """
    if len(cuts) < (3 if num_lanes == 1 else 2):
        return cuts
    stems = [place for place in cuts[0] if last_use[place] > 0]
    rest = [place for place in cuts[0] if last_use[place] == 0]
    return [stems, rest, *cuts[1:]] if stems and rest else cuts


def _last_uses(tree: PrefixTree, cuts: Sequence[Sequence[int]]) -> dict[int, int]:
    """The last batch that reads each segment, as its own or as one in front."""
    last: dict[int, int] = {}
    for number, places in enumerate(cuts):
        for place in places:
            for used in (place, *tree.chain(place)):
                last[used] = number
    return last


def _spans(tree: PrefixTree, places: Sequence[int]) -> dict[int, tuple[int, int]]:
    spans, at = {}, 0
    for place in places:
        spans[place] = (at, at + tree.segments[place].num_tokens)
        at = spans[place][1]
    return spans


def _units(tree: PrefixTree, spans: dict[int, tuple[int, int]]) -> list[AttentionUnit]:
    units: list[AttentionUnit] = []
    parents: list[int] = []  # of the segments of each unit
    for place, (start, end) in spans.items():
        segment = tree.segments[place]
        last = units[-1] if units else None
        if (
            last is not None
            and parents[-1] == segment.parent
            and last.position == segment.start
            and end - last.start <= _UNIT_TOKENS
        ):
            units[-1] = replace(last, lengths=(*last.lengths, end - start))
            continue
        chain = tree.chain(place)
        past = tuple(front for front in chain if front not in spans)
        ranges = tuple(spans[front] for front in chain if front in spans)
        units.append(AttentionUnit(start, (end - start,), segment.start, past, ranges))
        parents.append(segment.parent)
    return units
