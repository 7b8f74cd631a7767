"""Which places of a list a window reads, one after the other. Pure integers."""

from __future__ import annotations

__all__ = ["window_places"]


def window_places(num_documents: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Places [start, end) of the windows of a list, from its end to its front, each once.

    Neighbours share size - stride places, by which the best documents move to the front; the last
    window stands at the front, whatever it shares. None for fewer than two documents.

    >>> window_places(7, size=4, stride=2)
    [(3, 7), (1, 5), (0, 4)]
    """
    if num_documents < 2:
        return []
    starts = list(range(max(0, num_documents - size), -1, -stride))
    if starts[-1] != 0:
        starts.append(0)
    return [(start, min(start + size, num_documents)) for start in starts]
