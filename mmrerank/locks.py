"""A lock that may be part of what is copied and pickled."""

from __future__ import annotations

import threading
from types import TracebackType

__all__ = ["CopyableLock"]


class CopyableLock:
    """A lock for `with`; each copy is a new one, since copies share nothing that it guards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[CopyableLock], tuple[()]]:
        return CopyableLock, ()
