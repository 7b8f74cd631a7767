"""Connections to checked addresses that keep one deadline, and the pools that hold them.

urllib3 does the HTTP. What is ours is below it: a connection is made to an address that was checked
(the name still goes into the Host header, SNI and the check of the certificate), and each
blocking call on a socket gets what is left of the deadline, so that no drip can outlive it.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from mmrerank.errors import MediaError, MediaUnreadable, shorten
from mmrerank.media.addresses import Address, addresses_of
from mmrerank.media.deadline import Deadline

__all__ = ["Carried", "Exchange", "close_connections", "exchanging", "pools_of"]

_NUM_HOSTS = 32
_CONNECTIONS_PER_HOST = 16
# So long one address is tried while others are left.
_MAX_ADDRESS_S = 5.0


@dataclass(slots=True)
class Exchange:
    """One request and its answer. was_reused: whether a kept connection took it."""

    deadline: Deadline
    allow_private: bool
    was_reused: bool = True


_EXCHANGE: ContextVar[Exchange | None] = ContextVar("mmrerank_exchange", default=None)


class Carried(Exception):
    """Brings a MediaError past urllib3, which takes a MediaRefused for a broken connection."""

    def __init__(self, error: MediaError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def exchanging(exchange: Exchange) -> Iterator[None]:
    """Within it, the sockets of this thread keep the exchange's deadline."""
    token = _EXCHANGE.set(exchange)
    try:
        yield
    finally:
        _EXCHANGE.reset(token)


# ---------------------------------------------------------------- sockets


def _arm(sock: socket.socket) -> None:
    exchange = _EXCHANGE.get()
    if exchange is not None:
        sock.settimeout(exchange.deadline.check())


class _TimedSocket(socket.socket):
    """Each call that may block ends at the deadline."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        _arm(self)
        return super().recv_into(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        _arm(self)
        super().sendall(*args, **options)


class _TimedTLSSocket(ssl.SSLSocket):
    """The same over TLS; OpenSSL's handshake, read and write each keep the timeout in total."""

    def do_handshake(self, block: bool = False) -> None:
        _arm(self)
        super().do_handshake(block)

    def recv_into(self, *args: Any, **options: Any) -> int:
        _arm(self)
        return super().recv_into(*args, **options)

    def send(self, *args: Any, **options: Any) -> int:
        _arm(self)
        return super().send(*args, **options)


def _connect(host: str, port: int, exchange: Exchange) -> socket.socket:
    """A socket connected to the first of a host's checked addresses that answers."""
    deadline = exchange.deadline
    found = addresses_of(host, port, deadline, allow_private=exchange.allow_private)
    for index, address in enumerate(found):
        share_s = deadline.check()
        num_left = len(found) - 1 - index
        if num_left:
            share_s = min(share_s / (num_left + 1), _MAX_ADDRESS_S)
        try:
            return _connected(address, share_s)
        except OSError:
            if not num_left:
                raise
    raise AssertionError("addresses_of gives one address or more")


def _connected(address: Address, timeout_s: float) -> socket.socket:
    sock = _TimedSocket(address.family, address.kind, address.protocol)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout_s)
        sock.connect(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _new_connection(connection: HTTPConnection) -> socket.socket:
    exchange = _EXCHANGE.get()
    assert exchange is not None, "connections are made within exchanging()"
    exchange.was_reused = False
    # With its trailing dot, which urllib3 leaves out of `host`: it keeps the resolver from adding
    # the search domains of this machine.
    host = connection._dns_host
    try:
        return _connect(host.strip("[]"), connection.port, exchange)
    except MediaError as error:
        raise Carried(error) from error


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        super().begin()
        # urllib3 refuses two lengths at odds as well, but would leave the socket open.
        given = ",".join(self.headers.get_all("Content-Length", []))
        if len({length.strip() for length in given.split(",")}) > 1:
            raise http.client.HTTPException("two lengths at odds")


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _new_connection(self)


class _TLSConnection(HTTPSConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        return _new_connection(self)


# ---------------------------------------------------------------- pools


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_LOCK = threading.Lock()
_POOLS: dict[bool, urllib3.PoolManager] = {}


def pools_of(*, allow_private: bool) -> urllib3.PoolManager:
    """The connections of this process that were made under that rule; threads share them.

    One set a rule: a connection to a private address must not serve a policy that forbids it.
    """
    with _LOCK:
        pools = _POOLS.get(allow_private)
        if pools is None:
            pools = _POOLS[allow_private] = _new_pools()
        return pools


def _new_pools() -> urllib3.PoolManager:
    pools = urllib3.PoolManager(
        num_pools=_NUM_HOSTS,
        maxsize=_CONNECTIONS_PER_HOST,
        block=False,
        ssl_context=_tls_context(),
    )
    pools.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return pools


def _tls_context() -> ssl.SSLContext:
    context = create_urllib3_context()
    context.sslsocket_class = _TimedTLSSocket
    # Companies that look into TLS name their own authority so.
    given = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    try:
        if given and os.path.isdir(given):
            context.load_verify_locations(capath=given)
        else:
            context.load_verify_locations(given or certifi.where())
    except OSError as error:  # ssl.SSLError is one
        raise MediaUnreadable(
            f"the certificates in {shorten(given)}, which REQUESTS_CA_BUNDLE or SSL_CERT_FILE "
            "names, cannot be read."
        ) from error
    return context


def close_connections() -> None:
    """Close all kept connections; the next fetch opens new ones."""
    with _LOCK:
        forgotten = list(_POOLS.values())
        _POOLS.clear()
    for pools in forgotten:
        pools.clear()


def _forget_connections() -> None:
    """In a forked child: the sockets are the parent's, and its lock may have been held."""
    global _LOCK
    _LOCK = threading.Lock()
    _POOLS.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_connections)
