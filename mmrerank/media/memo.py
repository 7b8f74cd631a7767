"""What the sources of one call turned out to hold, so that each is read and decoded once."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

from mmrerank.errors import MediaError
from mmrerank.media.cache import MediaCache
from mmrerank.types import LoadedMedia, MediaKey

__all__ = ["SourceMemo"]

Found: TypeAlias = LoadedMedia | MediaError
_MAX_SOURCES = 20_000


@dataclass(slots=True)
class _Entry:
    """A source at work (`future`), or what it turned out to be.

    objects: weak references to what the identity names by its address; once one of them is gone
    the address may be another object's.
    """

    objects: tuple[weakref.ref[Any], ...]
    future: Future[Found] | None = None
    outcome: MediaKey | MediaError | None = None

    @property
    def is_valid(self) -> bool:
        return all(reference() is not None for reference in self.objects)


class SourceMemo:
    """Names of sources → their media or their error, for the length of one call.

    Only keys are kept, the media themselves are in the cache: one that has had to leave it is
    loaded again, so memory stays bounded. Threads that ask for the same source at the same time
    wait for the first of them.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get_or_load(
        self,
        identity: Hashable,
        objects: tuple[Any, ...],
        cache: MediaCache,
        load: Callable[[], Found],
    ) -> Found:
        """The medium or error of a source. objects: those that `identity` names by address."""
        try:
            references = tuple(weakref.ref(value) for value in objects)
        except TypeError:  # bytes and the like: nobody can tell when they are gone
            return load()
        with self._lock:
            entry = self._entries.get(identity)
            if entry is not None and not entry.is_valid:
                entry = None
            known = None if entry is None else _known(entry, cache)
            if known is not None:
                return known
            future = None if entry is None else entry.future
            is_first = future is None
            if future is None:
                future = self._start(identity, references)
        if is_first:
            self._finish(identity, future, load)
        return future.result()

    def _start(self, identity: Hashable, references: tuple[weakref.ref[Any], ...]) -> Future[Found]:
        future: Future[Found] = Future()
        self._entries[identity] = _Entry(references, future)
        if len(self._entries) > _MAX_SOURCES:
            self._entries.popitem(last=False)
        return future

    def _finish(self, identity: Hashable, future: Future[Found], load: Callable[[], Found]) -> None:
        try:
            found = load()
        except BaseException as error:  # the waiting threads must wake up, whatever happened
            with self._lock:
                self._entries.pop(identity, None)
            future.set_exception(error)
            return
        with self._lock:
            entry = self._entries.get(identity)
            if entry is not None and entry.future is future:
                entry.future = None
                entry.outcome = found if isinstance(found, MediaError) else found.key
        future.set_result(found)


def _known(entry: _Entry, cache: MediaCache) -> Found | None:
    if entry.outcome is None or isinstance(entry.outcome, MediaError):
        return entry.outcome
    return cache.get(entry.outcome)
