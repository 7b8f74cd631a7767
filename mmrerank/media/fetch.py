"""One URL → its bytes, under a MediaPolicy. The only place that opens a socket."""

from __future__ import annotations

import ipaddress
import socket
import time
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3

from mmrerank.errors import (
    MediaNotFound,
    MediaRefused,
    MediaTooLarge,
    MediaUnreadable,
    shorten,
)
from mmrerank.inputs.sniff import sniff_bytes
from mmrerank.media.policy import MediaPolicy

__all__ = ["fetch"]

_CHUNK_BYTES = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# identity: media are packed already, and a packed answer could unpack to far more than it says.
_HEADERS = {"User-Agent": "mmrerank", "Accept-Encoding": "identity"}


def fetch(url: str, policy: MediaPolicy) -> bytes:
    """Read an http(s) URL within the policy's bytes and seconds; redirects are checked like it.

    Proxies and .netrc of the environment are not used: behind a proxy the address check would be
    void. Raises MediaNotFound (404, 410), MediaRefused (401, 403, address or scheme not allowed),
    MediaTooLarge, MediaUnreadable (all else: connection, time, other status).
    """
    deadline = time.monotonic() + policy.timeout_s
    try:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(policy.max_redirects + 1):
                _check_url(url, policy)
                with session.get(
                    url,
                    headers=_HEADERS,
                    stream=True,
                    allow_redirects=False,
                    timeout=_remaining_s(deadline, policy),
                ) as response:
                    if response.status_code not in _REDIRECTS:
                        return _read_body(response, policy, deadline)
                    url = _next_url(url, response)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, (MediaNotFound, MediaRefused)):
            raise
        raise MediaUnreadable(_network_trouble(error, policy)) from error
    raise MediaRefused(
        f"more than {policy.max_redirects} redirects. Pass the final URL, or "
        "MediaPolicy(max_redirects=...)."
    )


def _network_trouble(error: Exception, policy: MediaPolicy) -> str:
    timed_out = isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError))
    if timed_out:
        return _too_slow(policy)
    # requests' own text repeats the whole URL, query and all: only the kind is told.
    return f"the server could not be read ({type(error).__name__})."


def _too_slow(policy: MediaPolicy) -> str:
    return (
        f"no full answer within {policy.timeout_s:g} s. "
        "Pass MediaPolicy(timeout_s=...) to wait longer."
    )


def _remaining_s(deadline: float, policy: MediaPolicy) -> float:
    remaining_s = deadline - time.monotonic()
    if remaining_s <= 0:
        raise MediaUnreadable(_too_slow(policy))
    return remaining_s


def _next_url(url: str, response: requests.Response) -> str:
    target = response.headers.get("Location")
    if not target:
        raise MediaUnreadable(
            f"the server answered {response.status_code} without saying where to go."
        )
    return urljoin(url, target)


# ---------------------------------------------------------------- what may be asked


def _check_url(url: str, policy: MediaPolicy) -> None:
    """Raises MediaRefused unless scheme and every resolved address are allowed."""
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError as error:
        raise MediaUnreadable(f"not a URL: {error}.") from error
    if split.scheme.lower() not in ("http", "https") or split.scheme.lower() not in policy.schemes:
        raise MediaRefused(
            f"{split.scheme}:// is not allowed; the policy's schemes are "
            f"{', '.join(policy.schemes)}."
        )
    if not host:
        raise MediaUnreadable("the URL names no host.")
    if policy.allow_private:
        return
    for address in _addresses_of(host, port or _default_port(split)):
        if not _is_public(address):
            raise MediaRefused(
                f"{host} is at {address}, which is no public address. If it is yours, allow it "
                f"with "
                "MediaPolicy(allow_private=True) or MMRERANK_MEDIA_ALLOW_PRIVATE=1."
            )


def _default_port(split: SplitResult) -> int:
    return 443 if split.scheme.lower() == "https" else 80


def _addresses_of(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MediaUnreadable(f"the host {shorten(host)} is not known.") from error
    return [str(sockaddr[0]) for *_, sockaddr in found]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            address = inner
    return address.is_global and not address.is_multicast


# ---------------------------------------------------------------- the answer


def _read_body(response: requests.Response, policy: MediaPolicy, deadline: float) -> bytes:
    _check_status(response.status_code)
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > policy.max_bytes:
        raise _too_many_bytes(int(declared), policy)
    body = bytearray()
    # read1 gives what has come in, so that a server that drips a byte a second meets the deadline.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        body += chunk
        if len(body) > policy.max_bytes:
            raise _too_many_bytes(len(body), policy)
        _remaining_s(deadline, policy)
    if (
        declared.isdigit()
        and "Content-Encoding" not in response.headers
        and len(body) < int(declared)
    ):
        raise MediaUnreadable(
            f"the answer broke off after {len(body):,} of {int(declared):,} bytes."
        )
    _check_kind(response, bytes(body[:256]))
    return bytes(body)


def _too_many_bytes(num_bytes: int, policy: MediaPolicy) -> MediaTooLarge:
    return MediaTooLarge(
        f"{num_bytes:,} bytes or more, the policy allows {policy.max_bytes:,}. "
        "Pass MediaPolicy(max_bytes=...)."
    )


def _check_status(status: int) -> None:
    if status in (404, 410):
        raise MediaNotFound(f"the server answered {status}: there is nothing at this URL.")
    if status in (401, 403):
        raise MediaRefused(
            f"the server answered {status}: it wants a login. Fetch it yourself and pass the bytes."
        )
    if status != 200:
        raise MediaUnreadable(f"the server answered {status}.")


def _check_kind(response: requests.Response, head: bytes) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and sniff_bytes(head) is None:
        raise MediaUnreadable(
            "the URL leads to a web page, not to a medium. Pass the URL of the file itself."
        )
