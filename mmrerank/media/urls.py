"""An http(s) URL → what to ask whom, where the policy allows it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin

import idna
import requests
import urllib3

from mmrerank.errors import MediaRefused, MediaUnreadable, shorten
from mmrerank.media.policy import MediaPolicy

__all__ = ["Target", "check_host", "redirect_url", "target_of"]

_MAX_URL_CHARS = 16_384
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that the policy allows, in the parts that the connection is made from.

    url: normalised, without fragment. host: without brackets, in ASCII. path: with the query.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str


def target_of(url: str, policy: MediaPolicy) -> Target:
    """The parts of a URL; its host's addresses are checked when the connection is made.

    Raises MediaRefused (scheme or host not allowed, a name or password in it), MediaUnreadable.
    """
    if len(url) > _MAX_URL_CHARS:
        raise MediaUnreadable(
            f"the URL has {len(url):,} characters, more than {_MAX_URL_CHARS:,}. Read it yourself "
            "and pass the bytes."
        )
    _check_scheme(url.partition(":")[0].strip().lower(), policy)
    try:
        prepared = requests.Request("GET", urldefrag(url).url).prepare()
        parsed = urllib3.util.parse_url(prepared.url or "")
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        reason = str(error).partition(url)[0][:100].strip(" :'\"") or type(error).__name__
        raise MediaUnreadable(f"not a URL: {reason}.") from error
    scheme, host = parsed.scheme or "", (parsed.host or "").strip("[]")
    _check_scheme(scheme, policy)
    if not host:
        raise MediaUnreadable("the URL names no host.")
    if parsed.auth is not None or "Authorization" in prepared.headers:
        raise MediaRefused(
            "the URL holds a name or password, which is not sent. Read it yourself and pass the "
            "bytes."
        )
    check_host(host, policy)
    return Target(parsed.url, scheme, host, parsed.port or _PORTS[scheme], parsed.request_uri)


def redirect_url(url: str, location: str | None, status: int) -> str:
    """Where an answer of 301 to 308 leads. Raises MediaUnreadable where it does not say."""
    if not location:
        raise MediaUnreadable(f"the server answered {status} without saying where to go.")
    with suppress(UnicodeError):
        # Header bytes are read as Latin-1; what is sent beyond ASCII is UTF-8.
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise MediaUnreadable(
            f"the server answered {status} with {shorten(location)}, which is no URL."
        ) from error


def check_host(host: str, policy: MediaPolicy) -> None:
    """Raises MediaRefused for a host that is in none of the policy's."""
    if not policy.hosts:
        return
    name = _plain(host)
    for allowed in policy.hosts:
        if allowed.startswith("*."):
            if name.endswith("." + _plain(allowed[2:])):
                return
        elif name == _plain(allowed):
            return
    raise MediaRefused(
        f"the host {shorten(host)} is not allowed; the policy's hosts are "
        f"{shorten(', '.join(policy.hosts), max_chars=300)}. Add it: MediaPolicy(hosts=[...]) or "
        "MMRERANK_MEDIA_HOSTS."
    )


def _plain(host: str) -> str:
    """A host in the one spelling that is compared: lower case, ASCII, no brackets, no last dot."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return name


def _check_scheme(scheme: str, policy: MediaPolicy) -> None:
    if scheme not in _PORTS or scheme not in policy.schemes:
        raise MediaRefused(
            f"a URL with the scheme {shorten(scheme)} is not allowed here; the policy's schemes "
            f"are {', '.join(policy.schemes)}."
        )
