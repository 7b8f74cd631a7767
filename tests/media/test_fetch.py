"""URLs, against a web server on this machine; tests/conftest.py lets nothing out."""

from __future__ import annotations

import gzip
import socket
import time

import pytest

from mmrerank.errors import MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.fetch import fetch
from mmrerank.media.source import read_source, source_of

ALLOWED = MediaPolicy(allow_private=True, timeout_s=30)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)


def test_body_is_read_whole(web):
    assert fetch(web.add("/a.png", PNG * 5_000), ALLOWED) == PNG * 5_000


def test_private_address_is_refused_before_connecting_and_names_the_remedy(web, no_connection):
    with pytest.raises(MediaRefused, match=r"MediaPolicy\(allow_private=True\)"):
        fetch(web.add("/a.png", PNG), MediaPolicy())


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "0.0.0.0"),
        *("10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1"),
        *("[fe80::1]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[2002:7f00:1::]"),
    ],
)
def test_each_spelling_of_an_address_that_is_not_public_is_refused(
    host, no_connection, monkeypatch
):
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        # What the system's resolver does with the old spellings, without asking it.
        lambda name, *rest, **options: (
            [(2, 1, 6, "", ("127.0.0.1", 80))]
            if name in ("2130706433", "0x7f.1", "0177.0.0.1")
            else resolve(name, *rest, **options)
        ),
    )
    with pytest.raises(MediaRefused, match="no public address"):
        fetch(f"http://{host}/a.png", MediaPolicy())


def test_name_with_one_private_address_among_public_ones_is_refused(no_connection, monkeypatch):
    found = [(2, 1, 6, "", ("93.184.215.14", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *rest, **options: found)
    with pytest.raises(MediaRefused, match=r"10\.0\.0\.1"):
        fetch("http://mixed.example/a.png", MediaPolicy())


def test_redirect_is_followed_and_counted(web):
    web.add("/a.png", PNG)
    web.add("/b", status=302, Location="/a.png")
    first = web.add("/c", status=301, Location=web.url + "/b")
    assert fetch(first, ALLOWED) == PNG
    with pytest.raises(MediaRefused, match="more than 1 redirects"):
        fetch(first, MediaPolicy(allow_private=True, max_redirects=1))


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a", "gopher://x/"])
def test_redirect_to_another_scheme_is_refused(web, target):
    with pytest.raises(MediaRefused, match="not allowed"):
        fetch(web.add("/a", status=302, Location=target), ALLOWED)


def test_redirect_to_a_private_address_is_refused(web, monkeypatch):
    resolve = socket.getaddrinfo

    def first_host_is_public(name, *rest, **options):
        if name == "public.example":
            return [(2, 1, 6, "", ("93.184.215.14", 80))]
        return resolve(name, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", first_host_is_public)
    connect = socket.socket.connect
    port = int(web.url.rpartition(":")[2])
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, address: connect(self, ("127.0.0.1", port))
    )
    web.add("/a", status=302, Location="http://127.0.0.1/secret")
    with pytest.raises(MediaRefused, match=r"127\.0\.0\.1, which is no public address"):
        fetch("http://public.example/a", MediaPolicy())
    assert web.asked == ["/a"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, MediaNotFound),
        (410, MediaNotFound),
        (401, MediaRefused),
        (403, MediaRefused),
        (500, MediaUnreadable),
        (429, MediaUnreadable),
        (204, MediaUnreadable),
    ],
)
def test_status_decides_the_error(web, status, error):
    with pytest.raises(error, match=f"answered {status}"):
        fetch(web.add("/a.png", status=status), ALLOWED)


def test_declared_length_above_the_limit_is_refused_before_reading(web):
    url = web.add("/a.png", b"x", Content_Length="1000000")
    with pytest.raises(MediaTooLarge, match="1,000,000 bytes"):
        fetch(url, MediaPolicy(allow_private=True, max_bytes=1_000))


def test_endless_body_stops_at_the_limit(web):
    def endless(request):
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(65_536))
        except OSError:
            pass

    web.answers["/endless"] = endless
    with pytest.raises(MediaTooLarge):
        fetch(web.url + "/endless", MediaPolicy(allow_private=True, max_bytes=1_000_000))


def test_packed_body_is_counted_unpacked(web):
    packed = gzip.compress(bytes(5_000_000))
    url = web.add("/a.png", packed, Content_Encoding="gzip")
    with pytest.raises(MediaTooLarge):
        fetch(url, MediaPolicy(allow_private=True, max_bytes=1_000_000))


def test_slow_drip_ends_at_the_deadline(web):
    def drip(request):
        request.send_response(200)
        request.end_headers()
        try:
            for _ in range(100):
                request.wfile.write(b"x")
                request.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    web.answers["/drip"] = drip
    start = time.monotonic()
    with pytest.raises(MediaUnreadable, match=r"timeout_s=\.\.\."):
        fetch(web.url + "/drip", MediaPolicy(allow_private=True, timeout_s=0.3))
    assert time.monotonic() - start < 2


def test_silent_server_ends_at_the_deadline(web):
    web.answers["/silent"] = lambda request: time.sleep(1)
    with pytest.raises(MediaUnreadable, match=r"timeout_s=\.\.\."):
        fetch(web.url + "/silent", MediaPolicy(allow_private=True, timeout_s=0.2))


def test_body_that_breaks_off_is_unreadable(web):
    def broken(request):
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(PNG)

    web.answers["/broken"] = broken
    with pytest.raises(MediaUnreadable):
        fetch(web.url + "/broken", ALLOWED)


def test_web_page_is_called_one(web):
    url = web.add("/a.png", b"<html>", Content_Type="text/html; charset=utf-8")
    with pytest.raises(MediaUnreadable, match="web page"):
        fetch(url, ALLOWED)
    assert fetch(web.add("/b.png", PNG, Content_Type="text/html"), ALLOWED) == PNG


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "audio/mpeg", "x" * 99])
def test_content_type_of_the_server_does_not_matter(web, kind):
    url = web.add("/a.txt", PNG, Content_Type=kind)
    assert read_source(source_of(url), ALLOWED) == PNG


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (b"<!DOCTYPE html><html>", MediaUnreadable, "web page"),
        (b"#EXTM3U\nhttp://127.0.0.1/", MediaRefused, "playlist"),
        (b"<svg/>", MediaRefused, "SVG"),
        (b"", MediaUnreadable, "empty"),
    ],
)
def test_body_that_is_not_what_the_server_calls_it_is_refused(web, body, error, message):
    url = web.add("/a.png", body, Content_Type="image/png")
    with pytest.raises(error, match=message):
        read_source(source_of(url), ALLOWED)


def test_refused_connection_and_unknown_host_are_unreadable():
    with pytest.raises(MediaUnreadable, match="could not be read"):
        fetch("http://127.0.0.1:9/a.png", ALLOWED)
    with pytest.raises(MediaUnreadable, match="'no-such-host' is not known"):
        fetch("http://no-such-host/a.png", MediaPolicy())


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://host:99999/", "http:///a"])
def test_broken_url_is_unreadable(url):
    with pytest.raises(MediaUnreadable):
        fetch(url, ALLOWED)


def test_no_error_repeats_the_query_string(web):
    url = web.add("/a.png", status=500) + "?token=secret"
    with pytest.raises(MediaUnreadable) as caught:
        fetch(url, ALLOWED)
    assert "secret" not in str(caught.value)
