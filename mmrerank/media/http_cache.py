"""Answers kept on disk as long as their servers allow; hishel knows the rules (RFC 9111)."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from mmrerank.media.answers import Answer
from mmrerank.media.folder import Folder
from mmrerank.media.policy import MediaPolicy

if TYPE_CHECKING:
    from hishel import CacheMiss, NeedRevalidation

    Unanswered: TypeAlias = CacheMiss | NeedRevalidation

__all__ = ["answer_through_cache"]

logger = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[dict[str, str]], Answer]

# An answer with none of these could be neither used again nor asked about.
_USABLE = frozenset({"cache-control", "etag", "expires", "last-modified"})
_KEPT_HEADERS = _USABLE | {"age", "content-type", "date", "location", "pragma", "vary"}
_WARNED: set[str] = set()
_WARNED_LOCK = threading.Lock()


def answer_through_cache(
    url: str, headers: Mapping[str, str], policy: MediaPolicy, ask: Ask
) -> Answer:
    """The kept answer where it is still good, otherwise what `ask` gives, kept where allowed.

    ask: sends the request with some more headers. A folder that cannot be read or written is
    warned of once and changes nothing else.
    """
    assert policy.cache_dir is not None
    try:
        folder = _folder(policy.cache_dir, int(policy.max_cache_bytes))
        # Under a name of its own: what was fetched from a private address must not come out under
        # a policy that allows none.
        name = f"{'any' if policy.allow_private else 'public'} {url}"
        state, kept = _look_up(folder, name, url, headers)
    except Exception as error:  # a damaged folder, or headers that nobody foresaw
        _warn_once(policy.cache_dir, error)
        return ask({})
    if state is None:
        assert kept is not None
        return kept
    answer = ask(_conditions(state, headers) if kept is not None else {})
    try:
        updated = _keep(folder, name, url, state, kept, answer)
    except Exception as error:
        _warn_once(policy.cache_dir, error)
        updated = answer if answer.status != 304 else kept
    return ask({}) if updated is None else updated


def _warn_once(path: str, error: Exception) -> None:
    with _WARNED_LOCK:
        is_first = path not in _WARNED
        _WARNED.add(path)
    if is_first:
        logger.warning(
            "the cache folder %r cannot be used (%s); media are fetched anew each time. "
            "Check MediaPolicy(cache_dir=...).",
            path,
            getattr(error, "strerror", None) or type(error).__name__,
        )


@lru_cache(maxsize=8)
def _folder(path: str, max_bytes: int) -> Folder:
    return Folder(path, max_bytes)


# ---------------------------------------------------------------- the rules, by hishel


def _look_up(
    folder: Folder, name: str, url: str, headers: Mapping[str, str]
) -> tuple[Unanswered | None, Answer | None]:
    """(None, answer) where the kept answer is good; otherwise hishel's state before asking."""
    import hishel

    request = hishel.Request("GET", url, hishel.Headers(dict(headers)))
    kept = _unpack(url, folder.read(name))
    entries = []
    if kept is not None:
        # Each request has the same headers, so the kept answer varied by them just as this one.
        response = hishel.Response(kept.status, hishel.Headers(dict(kept.headers)))
        entries = [hishel.Entry(uuid.uuid4(), request, response)]
    options = hishel.CacheOptions(shared=False, supported_methods=["GET"], allow_stale=False)
    state = hishel.IdleClient(options=options).next(request, entries)
    return (None, kept) if isinstance(state, hishel.FromCache) else (state, kept)


def _conditions(state: Unanswered, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that ask whether the kept answer still holds."""
    import hishel

    if not isinstance(state, hishel.NeedRevalidation):
        return {}
    own = {name.lower() for name in headers}
    return {name: value for name, value in state.request.headers.items() if name not in own}


def _keep(
    folder: Folder, name: str, url: str, state: Unanswered, kept: Answer | None, answer: Answer
) -> Answer | None:
    """The answer to use, kept, refreshed or forgotten. None where a 304 confirms nothing kept."""
    import hishel

    headers = {"date": formatdate(usegmt=True), **answer.headers}
    response = hishel.Response(answer.status, hishel.Headers(dict(headers)))
    step: Any = state.next(response)
    while isinstance(step, hishel.InvalidateEntries):  # a name has one entry, soon overwritten
        step = step.next()
    if isinstance(step, hishel.NeedToBeUpdated) and kept is not None:
        fresh = dict(step.updating_entries[-1].response.headers.items())
        refreshed = Answer(kept.status, fresh, kept.body)
        folder.write(name, _pack(url, refreshed))
        return refreshed
    if isinstance(step, hishel.StoreAndUse) and _USABLE & headers.keys():
        folder.write(name, _pack(url, Answer(answer.status, headers, answer.body)))
    elif answer.status != 304:
        folder.delete(name)
    return None if answer.status == 304 else answer


# ---------------------------------------------------------------- one entry


def _pack(url: str, answer: Answer) -> list[bytes]:
    headers = {name: value for name, value in answer.headers.items() if name in _KEPT_HEADERS}
    head = json.dumps({"url": url, "status": answer.status, "headers": headers}).encode()
    return [len(head).to_bytes(4, "big"), head, answer.body]


def _unpack(url: str, data: bytes | None) -> Answer | None:
    """The answer in an entry's bytes, None where there is none for this URL."""
    if data is None:
        return None
    num_bytes = int.from_bytes(data[:4], "big")
    try:
        head = json.loads(data[4 : 4 + num_bytes])
        if head["url"] != url:
            return None
        headers = {str(name): str(value) for name, value in head["headers"].items()}
        return Answer(int(head["status"]), headers, data[4 + num_bytes :])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
