"""Defaults, checks at birth and the environment."""

from __future__ import annotations

from typing import Any

import pytest

from mmrerank.errors import InputError
from mmrerank.media import MediaPolicy


def test_local_allows_files_and_public_urls_only():
    policy = MediaPolicy.local()
    assert policy == MediaPolicy()
    assert policy.allow_local_files
    assert not policy.allow_private


@pytest.mark.parametrize("policy", [MediaPolicy.public(), MediaPolicy.server()])
def test_public_and_server_allow_neither_files_nor_private_addresses(policy):
    assert not policy.allow_local_files
    assert not policy.allow_private
    assert "file" not in policy.schemes


def test_server_limits_are_tighter_than_public_ones():
    public, server = MediaPolicy.public(), MediaPolicy.server()
    for name in ("max_bytes", "timeout_s", "max_redirects", "max_pixels", "max_frames"):
        assert getattr(server, name) < getattr(public, name)


def test_public_and_server_load_from_the_web_alone():
    for policy in (MediaPolicy.public(), MediaPolicy.server()):
        assert policy.schemes == ("https", "http", "data")
        assert policy.cache_dir is None


def test_lists_are_read_in_lower_case_but_for_directories():
    lists: dict[str, Any] = {
        "schemes": ["HTTPS"],
        "hosts": ["CDN.example"],
        "directories": ["/Data"],
    }
    policy = MediaPolicy(**lists)
    assert (policy.schemes, policy.hosts) == (("https",), ("cdn.example",))
    assert policy.directories == ("/Data",)


@pytest.mark.parametrize("name", ["schemes", "hosts", "directories", "formats"])
def test_list_given_as_one_string_is_refused(name):
    given: dict[str, Any] = {name: "png"}
    with pytest.raises(InputError, match=f"{name}='png'.*list of strings"):
        MediaPolicy(**given)


def test_unknown_format_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"'svg' is no known format; there are jpeg, png"):
        MediaPolicy(formats=("png", "svg"))


@pytest.mark.parametrize("name", ["max_redirects", "max_retries"])
def test_number_of_times_may_be_none_but_not_negative(name):
    none: dict[str, Any] = {name: 0}
    assert getattr(MediaPolicy(**none), name) == 0
    negative: dict[str, Any] = {name: -1}
    with pytest.raises(InputError, match=name):
        MediaPolicy(**negative)


def test_environment_sets_lists_and_the_cache():
    environment = {
        "MMRERANK_MEDIA_HOSTS": "example.org, *.cdn.example",
        "MMRERANK_MEDIA_DIRECTORIES": "/data,/more",
        "MMRERANK_MEDIA_FORMATS": "png,jpeg",
        "MMRERANK_MEDIA_CACHE_DIR": "/cache",
    }
    policy = MediaPolicy.from_environment(environment=environment)
    assert policy.hosts == ("example.org", "*.cdn.example")
    assert policy.directories == ("/data", "/more")
    assert policy.formats == ("png", "jpeg")
    assert policy.cache_dir == "/cache"


@pytest.mark.parametrize("name", ["max_bytes", "timeout_s", "max_pixels", "max_frames"])
def test_limit_must_be_above_zero(name):
    limits: dict[str, Any] = {name: 0}
    with pytest.raises(InputError, match=name):
        MediaPolicy(**limits)


def test_environment_sets_fields_by_name():
    environment = {
        "MMRERANK_MEDIA_ALLOW_PRIVATE": "1",
        "MMRERANK_MEDIA_MAX_BYTES": "1_000",
        "MMRERANK_MEDIA_TIMEOUT_S": "2.5",
        "MMRERANK_MEDIA_SCHEMES": "HTTPS, data",
        "MMRERANK_OTHER": "x",
    }
    policy = MediaPolicy.from_environment(environment=environment)
    assert policy.allow_private is True
    assert policy.max_bytes == 1_000
    assert policy.timeout_s == 2.5
    assert policy.schemes == ("https", "data")
    assert policy.allow_local_files


def test_environment_changes_the_given_base_and_nothing_by_default():
    assert MediaPolicy.from_environment(environment={}) == MediaPolicy.local()
    server = MediaPolicy.from_environment(MediaPolicy.server(), {})
    assert server == MediaPolicy.server()


def test_environment_of_the_process_is_read(monkeypatch):
    monkeypatch.setenv("MMRERANK_MEDIA_MAX_FRAMES", "7")
    assert MediaPolicy.from_environment().max_frames == 7


@pytest.mark.parametrize(
    ("name", "text"), [("MAX_BYTES", "lots"), ("ALLOW_PRIVATE", "maybe"), ("TIMEOUT_S", "-1")]
)
def test_environment_value_that_cannot_be_is_refused(name, text):
    with pytest.raises(InputError, match=name.lower() + "|" + name):
        MediaPolicy.from_environment(environment={f"MMRERANK_MEDIA_{name}": text})
