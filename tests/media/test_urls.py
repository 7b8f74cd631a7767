"""Which URLs the policy lets pass, and how they are taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.errors import MediaError, MediaRefused, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.fetch import fetch
from mmrerank.media.urls import check_host, redirect_url, target_of

POLICY = MediaPolicy()
ANY_CHARACTER = st.characters(exclude_categories=())  # lone surrogates too
PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://example.org", "example.org", 80, "/"),
        ("HTTPS://Example.ORG/a.png?x=1#part", "example.org", 443, "/a.png?x=1"),
        ("http://example.org:8080/a b.png", "example.org", 8080, "/a%20b.png"),
        ("https://bücher.example/ä.png", "xn--bcher-kva.example", 443, "/%C3%A4.png"),
        ("http://[2001:db8::1]:81/a", "2001:db8::1", 81, "/a"),
        ("http://example.org./a", "example.org.", 80, "/a"),
    ],
)
def test_url_is_taken_apart(url, host, port, path):
    target = target_of(url, POLICY)
    assert (target.host, target.port, target.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        *("http://", "http:///a", "http://[::1", "http://host:99999/", "http://host:x/"),
        *("http://h/" + "x" * 20_000, "http://*/"),
    ],
)
def test_url_that_is_none_is_unreadable(url):
    with pytest.raises(MediaUnreadable) as caught:
        target_of(url, POLICY)
    assert len(str(caught.value)) < 400


@given(st.sampled_from(["http://", "https://", "http://h/", ""]), st.text(ANY_CHARACTER))
def test_any_text_is_a_target_or_a_media_error(start, text):
    message, shown = "", ""
    try:
        target = target_of(start + text, POLICY)
        shown = target.host + target.path
    except MediaError as error:
        message = str(error)
    assert len(message) < 600
    assert shown.isascii()
    assert shown.isprintable()


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "no-such-host"])
def test_host_that_cannot_be_is_unreadable(host):
    with pytest.raises(MediaUnreadable, match="is not known"):
        fetch(f"http://{host}/a.png", POLICY)


@pytest.mark.parametrize(
    "url", ["ftp://h/a", "file:///a", "gopher://h/", "http+unix://x/", "javascript:alert(1)", "x"]
)
def test_other_schemes_are_refused(url):
    with pytest.raises(MediaRefused, match="not allowed"):
        target_of(url, POLICY)


def test_scheme_that_the_policy_lacks_is_refused():
    with pytest.raises(MediaRefused, match="'http' is not allowed"):
        target_of("http://example.org/a.png", MediaPolicy(schemes=("https",)))


@pytest.mark.parametrize("url", ["https://me:secret@h/a.png", "https://token@h/"])
def test_name_and_password_are_refused_and_not_shown(url):
    with pytest.raises(MediaRefused, match="name or password") as caught:
        target_of(url, POLICY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("example.org", "EXAMPLE.org", "example.org.", "a.cdn.example", "a.b.cdn.example"),
        *("xn--bcher-kva.example", "2001:db8::1", "93.184.215.14"),
    ],
)
def test_host_of_the_policy_passes(host):
    hosts = ("Example.org", "*.cdn.example", "bücher.example", "[2001:db8::1]", "93.184.215.14")
    check_host(host, MediaPolicy(hosts=hosts))


@pytest.mark.parametrize(
    "host",
    [
        *("cdn.example", "evil-cdn.example", "cdn.example.evil", "a.example.org", "example.org.x"),
        *("", "*", "*.cdn.example.net"),
    ],
)
def test_host_that_is_not_of_the_policy_is_refused(host):
    with pytest.raises(MediaRefused, match=r"MediaPolicy\(hosts=\[\.\.\.\]\)"):
        check_host(host, MediaPolicy(hosts=("example.org", "*.cdn.example")))


def test_hosts_hold_at_each_redirect(web, names):
    names.serve_at = web.port
    names.add("a.example", ["93.184.215.14"])
    names.add("b.example", ["93.184.215.15"])
    web.add("/a.png", PNG)
    web.add("/b", status=302, Location="http://b.example/a.png")
    with pytest.raises(MediaRefused, match=r"'b\.example' is not allowed"):
        fetch("http://a.example/b", MediaPolicy(hosts=("a.example",)))
    assert web.asked == ["/b"]
    assert fetch("http://a.example/b", MediaPolicy(hosts=("*.example",))) == PNG


def test_schemes_hold_at_each_redirect(web, names):
    names.serve_at = web.port
    names.add("a.example", ["93.184.215.14"])
    web.add("/b", status=302, Location="https://a.example/a.png")
    with pytest.raises(MediaRefused, match="'https' is not allowed"):
        fetch("http://a.example/b", MediaPolicy(schemes=("http",)))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b", "https://h/b"),
        ("b?x", "https://h/c/b?x"),
        ("//other/b", "https://other/b"),
        ("http://other/b", "http://other/b"),
        ("/\xc3\xa4", "https://h/ä"),
        ("/\xe4", "https://h/\xe4"),
    ],
)
def test_redirect_leads_to(location, expected):
    assert redirect_url("https://h/c/a", location, 302) == expected


@pytest.mark.parametrize("location", [None, "", "http://[::1"])
def test_redirect_to_nowhere_is_unreadable(location):
    with pytest.raises(MediaUnreadable, match="answered 302"):
        redirect_url("https://h/c/a", location, 302)
