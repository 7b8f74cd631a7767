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
