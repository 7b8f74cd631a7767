"""The cache on disk: what is kept, asked about and forgotten, against a server that counts."""

from __future__ import annotations

import gzip
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from mmrerank.errors import MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy, http_cache
from mmrerank.media.fetch import fetch
from mmrerank.media.source import read_source, source_of

PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)
FRESH = {"Cache-Control": "max-age=600"}
STALE = {"Cache-Control": "max-age=0", "ETag": '"v1"'}


@pytest.fixture
def policy(tmp_path):
    def make(**options):
        given = {"allow_private": True, "timeout_s": 5.0, "max_retries": 0, **options}
        return MediaPolicy(**{"cache_dir": str(tmp_path / "cache"), **given})

    return make


def serve(web, path, headers, body=PNG, not_modified_headers=None):
    """Serve a body; 304 to who asks for the ETag or date that it has. Returns the URL."""

    def answer(request):
        etag, since = request.headers["If-None-Match"], request.headers["If-Modified-Since"]
        is_known = (etag is not None and etag == headers.get("ETag")) or (
            since is not None and since == headers.get("Last-Modified")
        )
        request.send_response(304 if is_known else 200)
        for name, value in (not_modified_headers or headers if is_known else headers).items():
            request.send_header(name, value)
        if not is_known:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if not is_known:
            request.wfile.write(body)

    web.answers[path] = answer
    return web.url + path


def fetch_twice(url, policy):
    assert fetch(url, policy) == PNG
    assert fetch(url, policy) == PNG


@pytest.mark.parametrize(
    "headers",
    [
        FRESH,
        {"Cache-Control": "private, MAX-AGE=600"},
        {"Cache-Control": "max-age=600, must-revalidate"},
        {"Expires": formatdate(time.time() + 600, usegmt=True)},
        {**FRESH, "Vary": "Accept-Encoding"},
        {**FRESH, "Date": "no date"},
    ],
)
def test_fresh_answer_is_not_asked_for_again(web, policy, headers):
    fetch_twice(serve(web, "/a.png", headers), policy())
    assert len(web.asked) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cache-Control": "no-store, max-age=600"},
        {"Cache-Control": "No-Store"},
        {"Cache-Control": "max-age=600, no-store", "ETag": '"v1"'},
        {"Cache-Control": "max-age=0"},
        {"Cache-Control": "no-cache"},
        {"Cache-Control": "s-maxage=600"},
        {"Expires": "0"},
        {**FRESH, "Vary": "*"},
    ],
)
def test_answer_that_must_not_be_used_again_is_asked_for_without_conditions(web, policy, headers):
    fetch_twice(serve(web, "/a.png", headers), policy())
    assert len(web.asked) == 2
    assert "if-none-match" not in web.headers[1]


def test_no_store_leaves_nothing_in_the_folder(web, policy, tmp_path):
    fetch(serve(web, "/a.png", {"Cache-Control": "no-store", "ETag": '"v1"'}), policy())
    assert not list(tmp_path.rglob("*.entry"))


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        (STALE, ("if-none-match", '"v1"')),
        ({"Cache-Control": "no-cache", "ETag": '"v1"'}, ("if-none-match", '"v1"')),
        (
            {"Cache-Control": "max-age=0", "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
            ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ),
    ],
)
def test_stale_answer_is_asked_about(web, policy, headers, condition):
    fetch_twice(serve(web, "/a.png", headers), policy())
    assert len(web.asked) == 2
    assert web.headers[1][condition[0]] == condition[1]


def test_confirmed_answer_is_as_fresh_as_the_confirmation_says(web, policy):
    url = serve(web, "/a.png", STALE, not_modified_headers={**FRESH, "ETag": '"v1"'})
    fetch_twice(url, policy())
    assert fetch(url, policy()) == PNG
    assert len(web.asked) == 2


def test_changed_file_takes_the_place_of_the_old_one(web, policy):
    url = serve(web, "/a.png", STALE)
    assert fetch(url, policy()) == PNG
    serve(web, "/a.png", {"ETag": '"v2"', **FRESH}, body=PNG * 2)
    assert fetch(url, policy()) == PNG * 2
    assert fetch(url, policy()) == PNG * 2
    assert len(web.asked) == 2


def test_confirmation_of_another_version_is_not_believed(web, policy):
    url = serve(web, "/a.png", STALE, not_modified_headers={"ETag": '"v9"'})
    assert fetch(url, policy()) == PNG
    assert fetch(url, policy()) == PNG
    assert len(web.asked) == 3
    assert "if-none-match" not in web.headers[2]


def test_query_strings_are_told_apart(web, policy):
    url = serve(web, "/a.png", FRESH)
    fetch(url + "?page=1", policy())
    fetch(url + "?page=2", policy())
    assert len(web.asked) == 2


def test_fragment_makes_no_difference(web, policy):
    url = serve(web, "/a.png", FRESH)
    fetch(url + "#one", policy())
    fetch(url + "#two", policy())
    assert len(web.asked) == 1


@pytest.mark.parametrize("status", [404, 500])
def test_failure_is_not_kept(web, policy, status):
    url = web.add("/a.png", status=status, Cache_Control="max-age=600")
    for _ in range(2):
        with pytest.raises((MediaNotFound, MediaUnreadable)):
            fetch(url, policy())
    assert len(web.asked) == 2


def test_packed_answer_is_kept_unpacked(web, policy):
    url = web.add("/a.png", gzip.compress(PNG), Content_Encoding="gzip", Cache_Control="max-age=9")
    fetch_twice(url, policy())
    assert len(web.asked) == 1


def test_nothing_is_kept_where_no_folder_is_given(web, policy, tmp_path):
    fetch_twice(serve(web, "/a.png", FRESH), policy(cache_dir=None))
    assert len(web.asked) == 2


# ---------------------------------------------------------------- the policy holds


def test_kept_answer_keeps_the_limit_of_bytes(web, policy):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    with pytest.raises(MediaTooLarge):
        fetch(url, policy(max_bytes=10))
    assert len(web.asked) == 1


def test_kept_answer_keeps_hosts_and_schemes(web, policy):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    with pytest.raises(MediaRefused):
        fetch(url, policy(hosts=("example.org",)))
    with pytest.raises(MediaRefused):
        fetch(url, policy(schemes=("https",)))


def test_answer_from_a_private_address_is_not_for_a_policy_that_allows_none(web, policy):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    with pytest.raises(MediaRefused, match="no public address"):
        fetch(url, policy(allow_private=False))


def test_kept_answer_keeps_the_formats(web, policy):
    source = source_of(serve(web, "/a.png", FRESH))
    assert read_source(source, policy()) == PNG
    with pytest.raises(MediaRefused, match="its bytes are png"):
        read_source(source, policy(formats=("jpeg",)))
    assert len(web.asked) == 1


def test_kept_redirect_leads_through_the_checks_again(web, policy):
    web.add("/b", status=301, Location="/a.png", Cache_Control="max-age=600")
    serve(web, "/a.png", FRESH)
    fetch_twice(web.url + "/b", policy())
    assert web.asked == ["/b", "/a.png"]
    with pytest.raises(MediaRefused, match="more than 0 redirects"):
        fetch(web.url + "/b", policy(max_redirects=0))


# ---------------------------------------------------------------- the folder


def test_folder_is_nobody_elses(web, policy, tmp_path):
    fetch(serve(web, "/a.png", FRESH), policy())
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    (entry,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", [b"", b"x" * 10, b"x" * 1_000])
def test_damaged_entry_is_fetched_anew(web, policy, tmp_path, damage):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    (entry,) = tmp_path.rglob("*.entry")
    entry.write_bytes(damage)
    assert fetch(url, policy()) == PNG
    assert len(web.asked) == 2


def test_entry_with_a_flipped_bit_is_fetched_anew(web, policy, tmp_path):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    (entry,) = tmp_path.rglob("*.entry")
    data = bytearray(entry.read_bytes())
    data[-5] ^= 1
    entry.write_bytes(data)
    assert fetch(url, policy()) == PNG
    assert len(web.asked) == 2


def test_folder_that_cannot_be_one_is_warned_of_once(web, policy, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(http_cache, "_WARNED", set())
    (tmp_path / "file").write_text("no folder")
    url = serve(web, "/a.png", FRESH)
    with caplog.at_level(logging.WARNING):
        fetch_twice(url, policy(cache_dir=str(tmp_path / "file")))
    assert len(web.asked) == 2
    assert len(caplog.records) == 1
    assert "MediaPolicy(cache_dir=...)" in caplog.text


def test_folder_that_was_deleted_is_made_again(web, policy, tmp_path):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    (entry,) = tmp_path.rglob("*.entry")
    entry.unlink()
    entry.parent.rmdir()
    fetch_twice(url, policy())
    assert len(web.asked) == 2


def test_folder_stays_below_its_limit(web, policy, tmp_path):
    body = PNG + os.urandom(10_000)
    for index in range(20):
        path = f"/{index}.png"
        assert fetch(serve(web, path, FRESH, body=body), policy(max_cache_bytes=50_000)) == body
    sizes = [entry.stat().st_size for entry in tmp_path.rglob("*.entry")]
    assert 30_000 < sum(sizes) <= 50_000
    fetch(web.url + "/19.png", policy(max_cache_bytes=50_000))
    assert len(web.asked) == 20


def test_threads_share_a_folder(web, policy):
    urls = [serve(web, f"/{index}.png", FRESH, body=PNG * (index + 1)) for index in range(10)]
    found: list[bool] = []

    def work():
        for index, url in enumerate(urls):
            found.append(fetch(url, policy(max_cache_bytes=3_000)) == PNG * (index + 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 40


def test_processes_share_a_folder(web, policy, tmp_path):
    url = serve(web, "/a.png", FRESH)
    fetch(url, policy())
    code = (
        "import sys; from mmrerank.media import MediaPolicy;"
        "from mmrerank.media.fetch import fetch;"
        "policy = MediaPolicy(allow_private=True, cache_dir=sys.argv[2]);"
        "sys.stdout.buffer.write(fetch(sys.argv[1], policy))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, url, str(tmp_path / "cache")],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert found.stdout == PNG
    assert len(web.asked) == 1
