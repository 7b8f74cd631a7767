"""Work done ahead of its consumer, in threads, given out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

__all__ = ["in_order"]

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    num_threads: int,
    max_ahead: int,
    weigh: Callable[[T], int] = lambda item: 1,
) -> Iterator[R]:
    """work(item) for each item, in the order of the items, while their results are waited for.

    max_ahead: most weight of the items that are at work or done ahead; one alone always fits.
    Items are drawn in the caller's thread, so an iterator may be bound to it. The first exception
    of `work` or of `items` is raised in its place; what is at work then is left to end by itself,
    what waits is dropped. A single item is worked on in the caller's thread.
    """
    remaining = iter(items)
    first_two = list(islice(remaining, 2))
    if len(first_two) < 2:
        yield from map(work, first_two)
        return
    pool = ThreadPoolExecutor(num_threads, "mmrerank-ahead")
    try:
        at_work: deque[tuple[int, Future[R]]] = deque()
        weight = 0
        for item in chain(first_two, remaining):
            while at_work and weight + weigh(item) > max_ahead:
                done_weight, future = at_work.popleft()
                weight -= done_weight
                yield future.result()
            at_work.append((weigh(item), pool.submit(work, item)))
            weight += weigh(item)
        while at_work:
            yield at_work.popleft()[1].result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
