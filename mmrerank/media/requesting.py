"""One request, tried again where that may help, within one deadline."""

from __future__ import annotations

import http.client
import logging
import random
import time
from collections.abc import Mapping

import urllib3
from urllib3.util import Retry, Timeout

from mmrerank.errors import MediaError, MediaUnreadable, shorten
from mmrerank.inputs.modality import shown_url
from mmrerank.media.answers import Answer, read_answer
from mmrerank.media.connect import Carried, Exchange, exchanging, pools_of
from mmrerank.media.deadline import Deadline
from mmrerank.media.policy import MediaPolicy
from mmrerank.media.urls import Target

__all__ = ["HEADERS", "Tries", "ask"]

logger = logging.getLogger(__name__)

# identity: media are packed already, and a packed answer could unpack to far more than it says.
HEADERS = {"User-Agent": "mmrerank", "Accept": "*/*", "Accept-Encoding": "identity"}
_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
_FIRST_WAIT_S = 0.2
_MAX_WAIT_S = 10.0
_MAX_STALE = 16  # kept connections that may turn out to be closed, as many as a host has


class Tries:
    """How often one URL, redirects included, was asked and may be asked again."""

    def __init__(self, max_retries: int) -> None:
        self.num_failed = 0
        self._max_retries = max_retries

    @property
    def are_left(self) -> bool:
        """Whether one more try is allowed after those that failed."""
        return self.num_failed <= self._max_retries

    @property
    def shown(self) -> str:
        """For the end of a message."""
        return "1 try" if self.num_failed == 1 else f"{self.num_failed} tries"


class _Passing(Exception):
    """A failure that may pass.

    is_answer: whether the server said so. wait_s: how long it asks to wait.
    """

    def __init__(self, what: str, *, is_answer: bool, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.is_answer = is_answer
        self.wait_s = wait_s


def ask(
    target: Target,
    policy: MediaPolicy,
    deadline: Deadline,
    tries: Tries,
    extra_headers: Mapping[str, str] | None = None,
) -> Answer:
    """The answer to a GET. After a connection error, 429 or 5xx it is asked again, a little later.

    Raises MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable.
    """
    headers = {**HEADERS, **(extra_headers or {})}
    num_stale = 0
    while True:
        exchange = Exchange(deadline, policy.allow_private)
        try:
            with exchanging(exchange):
                return _try(target, policy, exchange, headers)
        except _Passing as trouble:
            # A kept connection may have been closed by the server a moment ago: that says nothing
            # about the server.
            if exchange.was_reused and not trouble.is_answer and num_stale < _MAX_STALE:
                num_stale += 1
                continue
            tries.num_failed += 1
            wait_s = _wait_s(tries.num_failed, trouble.wait_s)
            if not tries.are_left or wait_s >= deadline.remaining_s:
                raise MediaUnreadable(f"{trouble} ({tries.shown}).") from trouble.__cause__
            logger.debug("%s: %s; asked again in %.1f s", shown_url(target.url), trouble, wait_s)
            time.sleep(wait_s)
        except TimeoutError as error:
            raise deadline.passed() from error


def _wait_s(num_failed: int, asked_s: float | None) -> float:
    """Doubled each time, and by chance, so that many clients do not come back at once."""
    doubled_s = min(_FIRST_WAIT_S * float(2 ** min(num_failed - 1, 10)), _MAX_WAIT_S)
    return max(asked_s or 0.0, float(doubled_s) * random.uniform(0.5, 1.0))


def _try(
    target: Target, policy: MediaPolicy, exchange: Exchange, headers: Mapping[str, str]
) -> Answer:
    """One request. Raises _Passing, TimeoutError, MediaError."""
    try:
        pool = pools_of(allow_private=policy.allow_private).connection_from_host(
            target.host, target.port, target.scheme
        )
        response = pool.urlopen(
            "GET",
            target.path,
            headers=headers,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=Timeout(total=exchange.deadline.check()),
        )
    except Carried as carried:
        raise carried.error from carried.error.__cause__
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _trouble_of(error, exchange.deadline) from error
    try:
        if response.status in _PASSING_STATUSES:
            raise _Passing(
                f"the server answered {response.status}",
                is_answer=True,
                wait_s=_asked_wait_s(response),
            )
        return read_answer(response, policy, exchange.deadline)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, MediaError):
            raise
        raise _trouble_of(error, exchange.deadline) from error
    finally:
        response.close()


def _asked_wait_s(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds that Retry-After asks for, as a number or a date."""
    try:
        return Retry().get_retry_after(response)
    except (urllib3.exceptions.InvalidHeader, OverflowError, ValueError):
        return None


def _trouble_of(error: Exception, deadline: Deadline) -> Exception:
    """The failure of a connection as _Passing, TimeoutError or, where it will not pass, an error.

    urllib3's own text repeats the whole URL, query and all: only the kind is told.
    """
    cause: BaseException = error
    if isinstance(error, urllib3.exceptions.ProtocolError) and len(error.args) > 1:
        cause = error.args[1] if isinstance(error.args[1], BaseException) else error
    if deadline.remaining_s <= 0 or isinstance(
        cause, (TimeoutError, urllib3.exceptions.TimeoutError)
    ):
        return TimeoutError()
    what = f"the server could not be read ({type(cause).__name__})"
    if isinstance(error, urllib3.exceptions.SSLError):
        return MediaUnreadable(
            f"no safe connection to the server: {shorten(str(error), max_chars=200)}. Where your "
            "own authority signed its certificate, name that one's file in SSL_CERT_FILE."
        )
    broke_off = (http.client.RemoteDisconnected, http.client.IncompleteRead, OSError)
    if isinstance(cause, broke_off):
        return _Passing(what, is_answer=False)
    return MediaUnreadable(f"{what}.")
