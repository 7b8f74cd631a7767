"""Kinds of sources and reading them under the policy."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmrerank.errors import MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.source import read_source, source_of

POLICY = MediaPolicy()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)


def read(value, policy=POLICY):
    return read_source(source_of(value), policy)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a.png", "path"),
        (Path("a.png"), "path"),
        ("https://h/a.png", "url"),
        ("file:///a.png", "url"),
        ("data:image/png;base64,AAAA", "data"),
        (base64.b64encode(PNG).decode(), "bytes"),
        (b"x", "bytes"),
        (io.BytesIO(b"x"), "file"),
        (Image.new("RGB", (2, 2)), "pil"),
        (np.zeros(3), "array"),
        ([np.zeros((2, 2, 3))], "frames"),
    ],
)
def test_kind_of_source_is_told_without_opening_it(value, kind):
    assert source_of(value).kind == kind


def test_object_that_is_no_source_is_refused():
    with pytest.raises(MediaUnreadable, match="int 3 is no path"):
        source_of(3)


def test_bytes_of_file_path_url_data_uri_and_object_are_the_same(tmp_path):
    path = tmp_path / "a b.png"
    path.write_bytes(PNG)
    encoded = base64.b64encode(PNG).decode()
    for value in (
        str(path),
        path,
        path.as_uri(),
        PNG,
        bytearray(PNG),
        io.BytesIO(PNG),
        encoded,
        f"data:image/png;base64,{encoded}",
    ):
        assert read(value) == PNG


def test_file_object_is_read_from_its_place_and_put_back():
    file = io.BytesIO(b"head" + PNG)
    file.seek(4)
    assert read(file) == PNG
    assert file.tell() == 4


def test_file_object_at_its_end_is_read_from_the_start():
    file = io.BytesIO(PNG)
    file.seek(0, io.SEEK_END)
    assert read(file) == PNG


def test_missing_file_says_how_to_pass_it_as_text():
    with pytest.raises(MediaNotFound, match=r"mmrerank\.Text") as caught:
        read("no/such/file.png")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("path", ["nul\0byte.png", "x" * 5_000 + ".png", "~no_such_user/a.png"])
def test_impossible_path_is_not_found(path):
    with pytest.raises(MediaNotFound):
        read(path)


def test_folder_and_device_are_not_read(tmp_path):
    with pytest.raises(MediaUnreadable, match="folder"):
        read(tmp_path)
    with pytest.raises(MediaUnreadable, match="device"):
        read(os.devnull)


def test_empty_file_is_unreadable(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    with pytest.raises(MediaUnreadable, match="0 bytes"):
        read(path)


@pytest.mark.parametrize("value", ["/etc/hostname", "file:///etc/hostname"])
def test_local_files_are_refused_where_the_policy_has_none(value):
    with pytest.raises(MediaRefused) as caught:
        read(value, MediaPolicy.server())
    assert isinstance(caught.value, PermissionError)
    with pytest.raises(MediaRefused, match="allow_local_files=True"):
        read(value, MediaPolicy(allow_local_files=False))


def test_too_many_bytes_are_refused_whatever_the_source(tmp_path):
    policy = MediaPolicy(max_bytes=50)
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    encoded = "data:image/png;base64," + base64.b64encode(PNG * 100).decode()
    for value in (path, PNG, io.BytesIO(PNG), encoded):
        with pytest.raises(MediaTooLarge, match="the policy allows 50"):
            read(value, policy)


@pytest.mark.parametrize("url", ["ftp://h/a.png", "gopher://h/a.png", "urn://h/a.png"])
def test_scheme_that_is_not_loaded_names_those_that_are(url):
    with pytest.raises(MediaRefused, match="https, http, data, file"):
        read(url)


def test_scheme_that_the_policy_lacks_is_not_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with pytest.raises(MediaRefused, match="file:// is not loaded; the policy's schemes are data"):
        read(path.as_uri(), MediaPolicy(schemes=("data",)))
    with pytest.raises(MediaRefused, match="schemes are none"):
        read(path.as_uri(), MediaPolicy(schemes=()))
    with pytest.raises(MediaRefused, match="data URIs are not allowed"):
        read("data:image/png;base64,AAAA", MediaPolicy(schemes=("file",)))


def test_youtube_is_refused_in_words():
    with pytest.raises(MediaRefused, match="nothing here downloads from YouTube"):
        read("https://youtu.be/abc")


def test_file_url_of_another_host_is_refused():
    with pytest.raises(MediaRefused, match="another host"):
        read("file://server/share/a.png")


def test_shown_url_has_no_query_and_no_password():
    source = source_of("https://user:secret@host:8443/a.png?token=abc#part")
    assert source.shown == "'https://host:8443/a.png'"


@pytest.mark.parametrize("error", [OSError("gone"), KeyError("k"), RuntimeError("x" * 10_000)])
def test_each_error_of_a_file_object_becomes_a_media_error(error):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise error

    with pytest.raises(MediaUnreadable, match=f"cannot be read: {type(error).__name__}") as caught:
        read(Broken(PNG))
    assert len(str(caught.value)) < 400


def test_file_opened_as_text_is_unreadable():
    with pytest.raises(MediaUnreadable, match="mode 'rb'"):
        read(io.StringIO("text"))
