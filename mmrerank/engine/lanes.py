"""Batches side by side on a processor, each on its share of the cores."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

__all__ = ["Lanes", "lanes_on"]

T = TypeVar("T")

# A core that works on a batch of its own waits for no other after each small operation.
_MOST_LANES = 4


class Lanes:
    """Starts calls; `num` of them run at a time, in the order in which they were started.

    pool: None runs each at once in the caller's thread.
    """

    def __init__(self, num: int, pool: ThreadPoolExecutor | None) -> None:
        self.num = num
        self._pool = pool

    def start(self, call: Callable[[], T], *, alone: bool = False) -> Future[T]:
        """A future of the call's result. A call may wait for those that were started before it.

        alone: run it at once in the caller's thread, with all of its cores: for what has nothing
        beside it.
        """
        if self._pool is not None and not alone:
            return self._pool.submit(call)
        done: Future[T] = Future()
        try:
            done.set_result(call())
        except BaseException as error:  # as an executor does: it is raised by result()
            done.set_exception(error)
        return done


_INLINE = Lanes(1, None)
_made: dict[tuple[int, int], Lanes] = {}  # by process and number of threads
_making = threading.Lock()


def lanes_on(device: Any) -> Lanes:
    """On a processor one lane for each thread that torch may use, four at most; else one."""
    num_threads = torch.get_num_threads()
    if torch.device(device).type != "cpu" or num_threads == 1:
        return _INLINE
    with _making:
        name = (os.getpid(), num_threads)  # a forked process has none of the threads
        if name not in _made:
            _made[name] = _make(num_threads)
        return _made[name]


def _make(num_threads: int) -> Lanes:
    num = min(num_threads, _MOST_LANES)
    started = threading.Barrier(num + 1)

    def set_up() -> None:
        # OpenMP and MKL count threads for each calling thread by itself. torch gives a thread its
        # own number when that is first asked for, and would do so in the middle of a lane's work.
        torch.get_num_threads()
        torch.set_num_threads(num_threads // num)
        started.wait()

    pool = ThreadPoolExecutor(num, "mmrerank-lane", initializer=set_up)
    for _ in range(num):
        pool.submit(int)
    started.wait()
    torch.set_num_threads(num_threads)  # torch remembers the last number for new threads
    return Lanes(num, pool)
