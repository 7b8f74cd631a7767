"""Bodies: how many bytes, how packed; and headers that nobody would send."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from mmrerank.errors import MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.fetch import fetch

ALLOWED = MediaPolicy(allow_private=True, timeout_s=20, max_retries=0)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300


def deflated(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def serve_raw(web, data):
    """Serve bytes as they are, status line and all. Returns the URL."""
    web.answers["/raw"] = lambda request: request.wfile.write(data)
    return web.url + "/raw"


def test_no_packing_is_asked_for(web):
    fetch(web.add("/a.png", PNG), ALLOWED)
    assert web.headers[0]["accept-encoding"] == "identity"
    assert set(web.headers[0]) == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", deflated),
        ("identity", bytes),
        ("", bytes),
    ],
)
def test_packed_body_is_unpacked(web, name, pack):
    url = web.add("/a.png", pack(PNG), Content_Encoding=name)
    assert fetch(url, ALLOWED) == PNG


@pytest.mark.parametrize("name", ["br", "compress", "gzip, gzip", "aes128gcm", "x" * 1_000])
def test_packing_that_is_not_known_is_refused(web, name):
    url = web.add("/a.png", PNG, Content_Encoding=name)
    with pytest.raises(MediaUnreadable, match="which is not undone here") as caught:
        fetch(url, ALLOWED)
    assert len(str(caught.value)) < 400


def test_bytes_that_are_not_packed_as_said_are_unreadable(web):
    url = web.add("/a.png", PNG, Content_Encoding="gzip")
    with pytest.raises(MediaUnreadable, match=r"could not be read \(DecodeError\)"):
        fetch(url, ALLOWED)
    assert len(web.asked) == 1


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_bomb_stops_at_the_limit_with_little_memory(web, name):
    wbits = {"gzip": 31, "deflate": 15}[name]
    packer = zlib.compressobj(9, wbits=wbits)
    bomb = b"".join(packer.compress(bytes(10_000_000)) for _ in range(10)) + packer.flush()
    assert len(bomb) < 120_000  # unpacks to 100 MB
    url = web.add("/a.png", bomb, Content_Encoding=name)
    tracemalloc.start()
    try:
        with pytest.raises(MediaTooLarge, match="1,000,000"):
            fetch(url, MediaPolicy(allow_private=True, timeout_s=20, max_bytes=1_000_000))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10_000_000


def test_chunked_body_is_read_whole_and_counted(web):
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(PNG), PNG) for _ in range(3)) + b"0\r\n\r\n"
    url = serve_raw(web, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert fetch(url, ALLOWED) == PNG * 3
    with pytest.raises(MediaTooLarge):
        fetch(url, MediaPolicy(allow_private=True, max_bytes=2 * len(PNG)))


@pytest.mark.parametrize(
    "body", [b"5\r\nabc", b"zz\r\nabc\r\n", b"-5\r\nabc\r\n", b"ffffffffffffffff\r\nabc"]
)
def test_broken_chunks_are_unreadable(web, body):
    url = serve_raw(web, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    with pytest.raises((MediaUnreadable, MediaTooLarge)):
        fetch(url, ALLOWED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01\x02\x03",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nx",
        b"HTTP/1.1 302 Found\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe://\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\nx",
        b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\nx",
    ],
)
def test_strange_answer_is_a_media_error(web, data):
    with pytest.raises((MediaUnreadable, MediaTooLarge, MediaRefused)) as caught:
        fetch(serve_raw(web, data), ALLOWED)
    assert len(str(caught.value)) < 500


def test_cookie_is_not_sent_back(web):
    web.add("/a.png", PNG)
    url = web.add("/b", status=302, Location="/a.png", Set_Cookie="session=secret; Path=/")
    assert fetch(url, ALLOWED) == PNG
    assert all("cookie" not in headers for headers in web.headers)
