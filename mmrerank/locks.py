"""A lock that may be part of what is copied and pickled."""

from __future__ import annotations

import threading
from types import TracebackType

__all__ = ["CopyableLock"]


class CopyableLock:
    """A lock for `with`; each copy is a new one, since copies share nothing that it guards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._num_waiting = 0

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for it; whoever holds it may give way."""
        return self._num_waiting > 0

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        with self._counting:
            self._num_waiting += 1
        try:
            self._lock.acquire()
        finally:  # an interrupt may end the waiting
            with self._counting:
                self._num_waiting -= 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[CopyableLock], tuple[()]]:
        return CopyableLock, ()
