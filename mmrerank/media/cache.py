"""Decoded media that stay between calls, and the guard that decodes a medium once within a call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from mmrerank.caching import ByteLRU
from mmrerank.types import LoadedMedia, MediaKey

__all__ = ["MediaCache", "OncePerKey"]


class MediaCache:
    """Least-recently-used decoded media, up to `max_bytes`. Threads may share it.

    The key is the content, so a file that changed or an object that was altered is decoded anew.
    A policy's limits are no part of it: use one cache with one policy.
    """

    def __init__(self, max_bytes: int = 256_000_000) -> None:
        self._media: ByteLRU[MediaKey, LoadedMedia] = ByteLRU(max_bytes, _num_bytes)

    def __len__(self) -> int:
        return len(self._media)

    @property
    def num_bytes(self) -> int:
        """Bytes held now."""
        return self._media.num_bytes

    def get(self, key: MediaKey) -> LoadedMedia | None:
        """The medium of that key, None where it is not held."""
        return self._media.get(key)

    def get_or_make(self, key: MediaKey, make: Callable[[], LoadedMedia]) -> LoadedMedia:
        """The medium of that key, made where it is not held."""
        return self._media.get_or_make(key, make)

    def clear(self) -> None:
        """Forget everything."""
        self._media.clear()


def _num_bytes(loaded: LoadedMedia) -> int:
    return loaded.media.num_bytes


class OncePerKey:
    """The first thread that asks for a key makes the value; the others wait for it or its error."""

    def __init__(self) -> None:
        self._futures: dict[MediaKey, Future[LoadedMedia]] = {}
        self._lock = threading.Lock()

    def get_or_make(self, key: MediaKey, make: Callable[[], LoadedMedia]) -> LoadedMedia:
        """The value of that key."""
        with self._lock:
            future = self._futures.get(key)
            is_first = future is None
            if future is None:
                future = self._futures[key] = Future()
        if is_first:
            try:
                future.set_result(make())
            except BaseException as error:  # the waiting threads must wake up, whatever happened
                future.set_exception(error)
        return future.result()
