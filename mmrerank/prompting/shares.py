"""How much of each document a prompt has room for. Pure integers."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["fair_lengths"]


def fair_lengths(lengths: Sequence[int], room: int) -> list[int]:
    """What is kept of documents of these lengths, `room` together: the longest are cut first.

    A document that is no longer than an equal share stays whole, and what it leaves is shared by
    the others; of an odd rest the first ones get one more.

    >>> fair_lengths([2, 9, 5], 13)
    [2, 6, 5]
    """
    kept = list(lengths)
    left, waiting = max(room, 0), sorted(range(len(kept)), key=lambda place: kept[place])
    for number, place in enumerate(waiting):
        share = left // (len(waiting) - number)
        if kept[place] > share:
            # All that follow are as long or longer.
            rest = left - share * (len(waiting) - number)
            for extra, other in enumerate(sorted(waiting[number:])):
                kept[other] = min(kept[other], share + (extra < rest))
            break
        left -= kept[place]
    return kept
