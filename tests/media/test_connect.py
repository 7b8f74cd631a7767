"""Connections: pinned to checked addresses, kept between fetches, closed at the deadline."""

from __future__ import annotations

import os
import ssl
import threading

import pytest
import trustme

from mmrerank.errors import MediaRefused, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.connect import close_connections, pools_of
from mmrerank.media.fetch import fetch
from tests.media.serving import WebServer

ALLOWED = MediaPolicy(allow_private=True, timeout_s=5, max_retries=0)
PUBLIC = MediaPolicy(timeout_s=5, max_retries=0)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)


@pytest.fixture
def named(web, names):
    """The web server as http://public.example/, which is at a public address."""
    web.keep_connections()
    web.add("/a.png", PNG)
    names.serve_at = web.port
    names.add("public.example", ["93.184.215.14"])
    return names


def test_name_that_resolves_differently_the_second_time_is_connected_to_once_checked(web, names):
    web.add("/a.png", PNG)
    names.serve_at = web.port
    names.add("rebinding.example", ["93.184.215.14"], ["127.0.0.1"])
    assert fetch("http://rebinding.example/a.png", PUBLIC) == PNG
    assert names.connected == ["93.184.215.14"]
    assert names.num_asked == 1
    with pytest.raises(MediaRefused, match=r"127\.0\.0\.1, which is no public address"):
        fetch("http://rebinding.example/a.png", PUBLIC)
    assert names.connected == ["93.184.215.14"]


def test_private_addresses_are_pinned_too(web, names):
    web.add("/a.png", PNG)
    names.serve_at = web.port
    names.add("own.example", ["10.0.0.1"], ["10.0.0.2"])
    assert fetch("http://own.example/a.png", ALLOWED) == PNG
    assert names.connected == ["10.0.0.1"]


def test_host_header_keeps_the_name_and_port(web, named):
    fetch("http://public.example:8080/a.png", PUBLIC)
    assert web.headers[0]["host"] == "public.example:8080"


def test_next_address_is_tried_where_one_does_not_answer(web, named):
    named.add("public.example", ["2606:2800:21f::1", "93.184.215.13", "93.184.215.14"])
    named.dead.add("93.184.215.13")
    assert fetch("http://public.example/a.png", PUBLIC) == PNG
    assert named.connected == ["2606:2800:21f::1", "93.184.215.13", "93.184.215.14"]


def test_address_that_is_silent_leaves_time_for_the_others(web, named):
    named.add("public.example", ["93.184.215.12", "93.184.215.13", "93.184.215.14"])
    named.dead |= {"93.184.215.12", "93.184.215.13"}
    fetch("http://public.example/a.png", MediaPolicy(timeout_s=3, max_retries=0))
    first_s, second_s, third_s = named.timeouts_s
    assert 0.5 < first_s <= 1
    assert 1 < second_s <= 1.5
    assert 2 < third_s <= 3


def test_redirect_to_a_host_at_a_private_address_is_refused(web, named):
    named.add("inner.example", ["192.168.1.1"])
    web.add("/b", status=302, Location="http://inner.example/secret")
    with pytest.raises(MediaRefused, match=r"inner\.example' is at 192\.168\.1\.1"):
        fetch("http://public.example/b", PUBLIC)
    assert named.connected == ["93.184.215.14"]
    assert web.asked == ["/b"]


def test_connection_is_kept_for_the_next_fetch(web):
    web.keep_connections()
    url = web.add("/a.png", PNG)
    for _ in range(5):
        assert fetch(url, ALLOWED) == PNG
    assert len(web.asked) == 5
    assert web.num_connections == 1


def test_connection_is_kept_along_a_redirect(web):
    web.keep_connections()
    web.add("/a.png", PNG)
    url = web.add("/b", b"moved", status=302, Location="/a.png")
    assert fetch(url, ALLOWED) == PNG
    assert web.num_connections == 1


def test_connection_to_a_private_address_does_not_serve_a_policy_that_forbids_it(web):
    web.keep_connections()
    url = web.add("/a.png", PNG)
    assert fetch(url, ALLOWED) == PNG
    with pytest.raises(MediaRefused, match="no public address"):
        fetch(url, PUBLIC)
    assert web.num_connections == 1
    assert web.asked == ["/a.png"]


def test_connection_that_the_server_closed_is_replaced_without_a_retry(web):
    web.keep_connections()

    def answer_and_hang_up(request):
        request.send_response(200)
        request.send_header("Content-Length", str(len(PNG)))
        request.end_headers()
        request.wfile.write(PNG)
        request.close_connection = True

    web.answers["/a.png"] = answer_and_hang_up
    for _ in range(3):
        assert fetch(web.url + "/a.png", ALLOWED) == PNG
    assert web.num_connections == 3


def test_threads_share_the_connections(web):
    web.keep_connections()
    url = web.add("/a.png", PNG)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.extend(fetch(url, ALLOWED) for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [PNG] * 40
    assert web.num_connections <= 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_forked_process_opens_connections_of_its_own(web):
    web.keep_connections()
    url = web.add("/a.png", PNG)
    fetch(url, ALLOWED)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if fetch(url, ALLOWED) == PNG else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert fetch(url, ALLOWED) == PNG
    assert web.num_connections == 2


# ---------------------------------------------------------------- TLS


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """An authority that is trusted for the length of a test."""
    found = trustme.CA()
    path = tmp_path / "authority.pem"
    found.cert_pem.write_to_path(str(path))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    close_connections()
    return found


class TLSServer:
    """The web server with a certificate. asked_for: the names that clients sent as SNI."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self.asked_for: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        self.web = WebServer(context)
        self.web.add("/a.png", PNG)


@pytest.fixture
def tls(authority, names):
    server = TLSServer(authority, "media.example")
    names.serve_at = server.web.port
    names.add("media.example", ["93.184.215.14"])
    names.add("other.example", ["93.184.215.14"])
    yield server
    close_connections()
    server.web.close()


def test_name_goes_into_the_handshake_though_the_address_is_pinned(tls, names):
    assert fetch("https://media.example/a.png", PUBLIC) == PNG
    assert tls.asked_for == ["media.example"]
    assert names.connected == ["93.184.215.14"]


def test_certificate_of_another_name_is_refused(tls):
    with pytest.raises(MediaUnreadable, match="no safe connection"):
        fetch("https://other.example/a.png", PUBLIC)
    assert tls.web.asked == []


def test_certificate_of_an_unknown_authority_is_refused(tls, monkeypatch):
    close_connections()
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(MediaUnreadable, match="SSL_CERT_FILE"):
        fetch("https://media.example/a.png", PUBLIC)
    assert tls.web.asked == []


def test_file_of_certificates_that_is_missing_is_named(tls, monkeypatch):
    close_connections()
    monkeypatch.setenv("SSL_CERT_FILE", "no/such/file.pem")
    with pytest.raises(MediaUnreadable, match=r"'no/such/file\.pem'"):
        fetch("https://media.example/a.png", PUBLIC)


def test_pools_of_the_two_rules_are_apart():
    assert pools_of(allow_private=True) is not pools_of(allow_private=False)
    assert pools_of(allow_private=True) is pools_of(allow_private=True)
    close_connections()
