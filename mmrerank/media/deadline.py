"""One point in time by which everything about a source must be done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from mmrerank.errors import MediaUnreadable

__all__ = ["Deadline", "call_within"]

T = TypeVar("T")

_MAX_S = 1_000_000.0  # operating systems take no timeout of more than 24 days
# Calls that hang (a dead name server) keep their threads; so many at most.
_THREADS = threading.BoundedSemaphore(64)


@dataclass(frozen=True, slots=True)
class Deadline:
    """ends_at: on the clock of time.monotonic. timeout_s: what the policy allowed, for messages."""

    ends_at: float
    timeout_s: float

    @classmethod
    def after(cls, timeout_s: float) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + min(timeout_s, _MAX_S), timeout_s)

    @property
    def remaining_s(self) -> float:
        """Seconds left; 0 or less where it has passed."""
        return self.ends_at - time.monotonic()

    def check(self) -> float:
        """Seconds left, above 0. Raises TimeoutError where there are none, as a socket would."""
        remaining_s = self.remaining_s
        if remaining_s <= 0:
            raise TimeoutError
        return remaining_s

    def passed(self) -> MediaUnreadable:
        """The error for it."""
        return MediaUnreadable(
            f"no full answer within {self.timeout_s:g} s. Pass MediaPolicy(timeout_s=...) or "
            "MMRERANK_MEDIA_TIMEOUT_S to wait longer."
        )


def call_within(deadline: Deadline, function: Callable[[], T]) -> T:
    """What a function gives that takes no timeout of its own, or its error.

    Raises TimeoutError at the deadline; the call then goes on in its thread and is forgotten. That
    thread does not keep the program from ending.
    """
    if not _THREADS.acquire(timeout=deadline.check()):
        raise TimeoutError
    results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def call() -> None:
        try:
            results.put((function(), None))
        except BaseException as error:  # it belongs to the caller, who waits
            results.put((None, error))
        finally:
            _THREADS.release()

    try:
        threading.Thread(target=call, name="mmrerank-call", daemon=True).start()
    except BaseException:
        _THREADS.release()
        raise
    try:
        result, error = results.get(timeout=max(deadline.remaining_s, 0))
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    value: T = result
    return value
