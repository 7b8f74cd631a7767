"""A host's addresses, each checked: only what comes out of here is ever connected to."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from mmrerank.errors import MediaRefused, MediaUnreadable, shorten
from mmrerank.media.deadline import Deadline, call_within

__all__ = ["Address", "addresses_of", "is_public"]

_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# 6to4 and Teredo carry an IPv4 address to a relay that nobody runs any more; then protocol
# assignments and documentation, which elder versions of Python count as public.
_SPECIAL_V6 = tuple(map(ipaddress.IPv6Network, ("2002::/16", "2001::/23", "3fff::/20")))
# What elder versions of Python count as public, and Azure's metadata service, which has an address
# of the public range (Microsoft Learn, "What is IP address 168.63.129.16?").
_SPECIAL_V4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16")))


@dataclass(frozen=True, slots=True)
class Address:
    """What socket.socket and its connect take; sockaddr holds a number, never a name."""

    family: int
    kind: int
    protocol: int
    sockaddr: tuple[Any, ...]


def addresses_of(host: str, port: int, deadline: Deadline, *, allow_private: bool) -> list[Address]:
    """Every address of a host, in the order in which to try them; asks the resolver once.

    Raises MediaRefused where one of them is not public and `allow_private` is False,
    MediaUnreadable for a host that is not known, OSError for a resolver that has no answer now,
    TimeoutError.
    """
    found = _resolve(host, port, deadline)
    for address in found:
        text = str(address.sockaddr[0])
        if not allow_private and not is_public(text):
            raise MediaRefused(
                f"{shorten(host)} is at {text}, which is no public address. If it is yours, allow "
                "it with MediaPolicy(allow_private=True) or MMRERANK_MEDIA_ALLOW_PRIVATE=1."
            )
    return found


def is_public(text: str) -> bool:
    """Whether an address, in figures, is one that anybody on the internet could be asked at.

    Private, loopback, link-local, shared, multicast, reserved and metadata addresses are not, nor
    are IPv6 addresses that stand for such an IPv4 address.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is None:
            is_special = any(address in network for network in _SPECIAL_V6)
            return address in _UNICAST_V6 and address.is_global and not is_special
        address = inner
    is_special = any(address in network for network in _SPECIAL_V4)
    return address.is_global and not (address.is_multicast or address.is_reserved or is_special)


def _resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    try:
        found = call_within(
            deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise
        raise MediaUnreadable(f"the host {shorten(host)} is not known.") from error
    if not found:
        raise MediaUnreadable(f"the host {shorten(host)} has no address.")
    return [Address(family, kind, proto, tuple(at)) for family, kind, proto, _, at in found]
