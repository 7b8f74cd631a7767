"""Tries and the pauses between them, and the one deadline over all."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate

import pytest

from mmrerank.errors import MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.fetch import fetch
from tests.media.serving import reset

PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)


def policy(**options):
    return MediaPolicy(**{"allow_private": True, "timeout_s": 5.0, **options})


def status(code, **headers):
    def answer(request):
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def picture(request):
    request.send_response(200)
    request.end_headers()
    request.wfile.write(PNG)


def reset_in_the_body(request):
    request.send_response(200)
    request.send_header("Content-Length", "1000000")
    request.end_headers()
    request.wfile.write(PNG)
    reset(request)


@pytest.fixture
def pauses(monkeypatch):
    """Seconds that were waited between tries, without waiting."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_answer_that_may_pass_is_asked_for_again(web, pauses, code):
    url = web.add_in_turn("/a.png", status(code), status(code), picture)
    assert fetch(url, policy(max_retries=2)) == PNG
    assert len(web.asked) == 3
    assert 0 < pauses[0] <= 0.2 < pauses[1] + 0.1 <= 0.5


@pytest.mark.parametrize("breaks_off", [reset, reset_in_the_body])
def test_connection_that_breaks_off_is_made_again(web, pauses, breaks_off):
    url = web.add_in_turn("/a.png", breaks_off, picture)
    assert fetch(url, policy(max_retries=1)) == PNG
    assert len(web.asked) == 2


def test_tries_end_and_are_counted_in_the_message(web, pauses):
    url = web.add_in_turn("/a.png", status(503))
    with pytest.raises(MediaUnreadable, match=r"answered 503 \(3 tries\)"):
        fetch(url, policy(max_retries=2))
    assert len(web.asked) == 3


def test_no_retries_means_one_try(web, pauses):
    url = web.add_in_turn("/a.png", reset_in_the_body)
    with pytest.raises(
        MediaUnreadable, match=r"could not be read \(ConnectionResetError\) \(1 try"
    ):
        fetch(url, policy(max_retries=0))
    assert len(web.asked) == 1
    assert pauses == []


def test_tries_are_shared_by_the_hops_of_a_redirect(web, pauses):
    web.add_in_turn("/a.png", status(500), picture)
    url = web.add_in_turn("/b", status(500), status(302, Location="/a.png"))
    with pytest.raises(MediaUnreadable, match="2 tries"):
        fetch(url, policy(max_retries=1))
    assert web.asked == ["/b", "/b", "/a.png"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        *((400, MediaUnreadable), (401, MediaRefused), (403, MediaRefused), (404, MediaNotFound)),
        *((410, MediaNotFound), (418, MediaUnreadable), (501, MediaUnreadable)),
    ],
)
def test_answer_that_will_not_change_is_asked_for_once(web, pauses, code, error):
    with pytest.raises(error):
        fetch(web.add_in_turn("/a.png", status(code)), policy())
    assert len(web.asked) == 1


def test_too_many_bytes_are_asked_for_once(web, pauses):
    with pytest.raises(MediaTooLarge):
        fetch(web.add("/a.png", PNG), policy(max_bytes=10))
    assert len(web.asked) == 1


def test_refused_address_is_not_tried_again(names, pauses):
    names.add("inner.example", ["10.0.0.1"])
    with pytest.raises(MediaRefused):
        fetch("http://inner.example/a.png", MediaPolicy())
    assert names.num_asked == 1


def test_resolver_without_an_answer_now_is_asked_again(monkeypatch, pauses):
    asked: list[str] = []

    def busy(host, *rest, **options):
        asked.append(host)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", busy)
    with pytest.raises(MediaUnreadable, match="3 tries"):
        fetch("http://busy.example/a.png", MediaPolicy(max_retries=2))
    assert len(asked) == 3


@pytest.mark.parametrize("asked_for", ["2", None])
def test_server_may_ask_for_a_longer_pause(web, pauses, asked_for):
    after = asked_for or formatdate(time.time() + 3, usegmt=True)
    url = web.add_in_turn("/a.png", status(429, Retry_After=after), picture)
    assert fetch(url, policy()) == PNG
    assert 1 < pauses[0] <= 3


@pytest.mark.parametrize("asked_for", ["soon", "-5", "1e400", "Mon, 99 Foo 99999 00:00:00 GMT"])
def test_pause_that_cannot_be_read_is_the_usual_one(web, pauses, asked_for):
    url = web.add_in_turn("/a.png", status(429, Retry_After=asked_for), picture)
    assert fetch(url, policy()) == PNG
    assert 0 < pauses[0] <= 0.2


@pytest.mark.parametrize("asked_for", ["3600", "9" * 400])
def test_pause_beyond_the_deadline_is_not_begun(web, pauses, asked_for):
    url = web.add_in_turn("/a.png", status(503, Retry_After=asked_for), picture)
    with pytest.raises(MediaUnreadable, match=r"answered 503 \(1 try\)"):
        fetch(url, policy())
    assert pauses == []


# ---------------------------------------------------------------- the deadline


def drip(request, data, pause_s=0.02):
    try:
        for index in range(len(data)):
            request.wfile.write(data[index : index + 1])
            request.wfile.flush()
            time.sleep(pause_s)
    except OSError:
        pass


def dripping_headers(request):
    drip(request, b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n" + b"X-Long: " + b"x" * 10_000)


def dripping_line(request):
    drip(request, b"HTTP/1.1 200 " + b"x" * 10_000)


def endless_continues(request):
    drip(request, b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000, pause_s=0.001)


def dripping_chunks(request):
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drip(request, b"1\r\nx\r\n" * 1_000)


def dripping_redirect(request):
    request.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 5000\r\n\r\n")
    drip(request, b"x" * 5_000)


@pytest.mark.parametrize(
    "answer",
    [dripping_headers, dripping_line, endless_continues, dripping_chunks, dripping_redirect],
)
def test_drip_ends_at_the_deadline(web, answer):
    web.answers["/a.png"] = answer
    start = time.monotonic()
    with pytest.raises(MediaUnreadable, match=r"within 0\.3 s.*timeout_s=\.\.\."):
        fetch(web.url + "/a.png", policy(timeout_s=0.3))
    assert time.monotonic() - start < 3
    assert len(web.asked) == 1


def test_handshake_that_never_ends_ends_at_the_deadline(names):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        names.serve_at = silent.getsockname()[1]
        names.add("silent.example", ["93.184.215.14"])
        start = time.monotonic()
        with pytest.raises(MediaUnreadable, match=r"within 0\.3 s"):
            fetch("https://silent.example/a.png", MediaPolicy(timeout_s=0.3))
        assert time.monotonic() - start < 3


def test_retries_end_at_the_deadline(web):
    url = web.add_in_turn("/a.png", status(503))
    start = time.monotonic()
    with pytest.raises(MediaUnreadable, match="answered 503"):
        fetch(url, policy(timeout_s=0.5, max_retries=1_000))
    assert time.monotonic() - start < 3
    assert len(web.asked) > 1
