"""A least-recently-used cache that counts bytes. Every cache of the package is one of these."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

__all__ = ["ByteLRU"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteLRU(Generic[K, V]):
    """Keeps values while their sizes add up to at most `max_bytes`; safe to share between threads.

    A value larger than `max_bytes` is handed out but not kept. Threads that ask for the same key at
    the same time wait for the first of them. Copies and pickles start empty: cached values can be
    made again, and locks do not travel.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[V], int]) -> None:
        self.max_bytes = max_bytes
        self._size_of = size_of
        self._values: OrderedDict[K, V] = OrderedDict()
        self._at_work: dict[K, Future[V]] = {}
        self._num_bytes = 0
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return self._num_bytes

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """The value of that key, None where it is not held."""
        with self._lock:
            return self._touch(key)

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """The value of that key; made, outside the lock, where it is not held.

        An error of `make` reaches all who wait for it; the next one to ask makes anew.
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            future = self._at_work.get(key)
            is_first = future is None
            if future is None:
                future = self._at_work[key] = Future()
        if is_first:
            self._make(key, make, future)
        return future.result()

    def values(self) -> list[V]:
        """All that is held, the most recently used last."""
        with self._lock:
            return list(self._values.values())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._num_bytes = 0

    def _touch(self, key: K) -> V | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def _make(self, key: K, make: Callable[[], V], future: Future[V]) -> None:
        try:
            value = make()
        except BaseException as error:  # the waiting threads must wake up, whatever happened
            with self._lock:
                self._at_work.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            self._at_work.pop(key, None)
            self._keep(key, value)
        future.set_result(value)

    def _keep(self, key: K, value: V) -> None:
        size = self._size_of(value)
        if key in self._values or size > self.max_bytes:
            return
        self._values[key] = value
        self._num_bytes += size
        while self._num_bytes > self.max_bytes:
            _, dropped = self._values.popitem(last=False)
            self._num_bytes -= self._size_of(dropped)

    def __getstate__(self) -> dict[str, Any]:
        return {"max_bytes": self.max_bytes, "_size_of": self._size_of}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["max_bytes"], state["_size_of"])  # type: ignore[misc]
