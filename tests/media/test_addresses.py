"""Which addresses are public, and that a host is asked for once."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from mmrerank.errors import MediaRefused, MediaUnreadable
from mmrerank.media.addresses import addresses_of, is_public
from mmrerank.media.deadline import Deadline


def look_up(host, *, allow_private=False, timeout_s=5.0):
    found = addresses_of(host, 80, Deadline.after(timeout_s), allow_private=allow_private)
    return [address.sockaddr[0] for address in found]


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1"),
        *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192"),
        *("192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
        *("239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1"),
        *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
        *("2001:db8::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254"),
        *("ff02::1", "100::1", "5f00::1", "3fff::1", "no address", ""),
    ],
)
def test_address_that_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "93.184.215.14", "172.32.0.1", "192.169.0.1", "168.63.129.17"),
        *("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450:4001::8", "::ffff:8.8.8.8"),
        "64:ff9b::808:808",
    ],
)
def test_address_that_is_public(address):
    assert is_public(address)


def test_one_private_address_among_public_ones_refuses_the_host(names):
    names.add("mixed.example", ["93.184.215.14", "10.0.0.1"])
    with pytest.raises(MediaRefused, match=r"mixed\.example' is at 10\.0\.0\.1"):
        look_up("mixed.example")
    assert look_up("mixed.example", allow_private=True) == ["93.184.215.14", "10.0.0.1"]


def test_unknown_host_is_unreadable(names):
    with pytest.raises(MediaUnreadable, match="'no-such-host' is not known"):
        look_up("no-such-host")


def test_host_without_an_address_is_unreadable(names):
    names.add("empty.example", [])
    with pytest.raises(MediaUnreadable, match="has no address"):
        look_up("empty.example")


def test_resolver_without_an_answer_now_is_an_error_that_passes(monkeypatch):
    def busy(*rest, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", busy)
    with pytest.raises(socket.gaierror):
        look_up("busy.example")


def test_resolver_that_hangs_ends_at_the_deadline(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *rest, **options: released.wait(30))
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        look_up("slow.example", timeout_s=0.1)
    assert time.monotonic() - start < 5
    released.set()
