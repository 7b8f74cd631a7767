"""Formats by the first bytes: what is known, what the policy allows, what is never loaded."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmrerank.errors import MediaRefused, MediaUnreadable
from mmrerank.inputs.sniff import FORMATS
from mmrerank.media import MediaPolicy
from mmrerank.media.content import check_format
from mmrerank.media.source import read_source, source_of
from tests.media.making import clip_bytes, gradient, pdf_bytes, picture_bytes, sound_bytes

POLICY = MediaPolicy()
FIXTURES = Path(__file__).parents[2] / "fixtures"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(80)
MADE: dict[str, Callable[[], bytes]] = {
    **{
        kind: partial(picture_bytes, gradient(), kind)
        for kind in ("jpeg", "png", "gif", "webp", "bmp", "tiff", "avif")
    },
    "jp2": lambda: picture_bytes(gradient(), "jpeg2000"),
    "pdf": lambda: pdf_bytes((20, 20)),
    "wav": lambda: sound_bytes(0.1),
    "flac": lambda: sound_bytes(0.1, codec="flac", container="flac"),
    "mp3": lambda: sound_bytes(0.5, rate=44_100, codec="libmp3lame", container="mp3"),
    "aac": lambda: sound_bytes(0.5, rate=44_100, codec="aac", container="adts"),
    "aiff": lambda: sound_bytes(0.1, codec="pcm_s16be", container="aiff"),
    "mp4": lambda: clip_bytes(4),
    "matroska": lambda: clip_bytes(4, codec="libvpx-vp9", container="webm"),
    "avi": lambda: clip_bytes(4, codec="mpeg4", container="avi"),
    "mpeg": lambda: clip_bytes(4, codec="mpeg2video", container="mpegts", fps=25),
    "flv": lambda: clip_bytes(4, codec="flv1", container="flv"),
    "asf": lambda: clip_bytes(4, codec="wmv2", container="asf"),
}


@pytest.mark.parametrize("name", sorted(MADE))
def test_format_that_is_made_here_is_known(name):
    assert check_format(MADE[name](), POLICY) == name


@pytest.mark.parametrize(
    "path",
    [path for path in sorted((FIXTURES / "media").iterdir()) if path.suffix != ".jsonl"],
    ids=lambda path: path.name,
)
def test_fixture_is_of_a_known_format(path):
    assert check_format(path.read_bytes(), POLICY) in FORMATS


def test_format_that_the_policy_lacks_is_refused_and_named():
    with pytest.raises(
        MediaRefused, match=r"its bytes are png; the policy's formats are jpeg, gif"
    ):
        check_format(PNG, MediaPolicy(formats=("jpeg", "gif")))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        (b"\xef\xbb\xbf \n<SVG>", "SVG"),
        (b"<?xml version='1.0'?><!-- a --><svg>", "SVG"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg>", "SVG"),
        (b"<?xml version='1.0'?><rss>", "XML"),
        (b"<?xml version='1.0'?><MPD type='static'>", "playlist"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"\xc5\xd0\xd3\xc6" + bytes(26), "PostScript"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/a.ts", "playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n", "playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd", "playlist"),
        (b"[playlist]\nFile1=http://127.0.0.1/", "playlist"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\n", "session description"),
        (b"s=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n", "session description"),
        (b"\x7fELF\x02\x01\x01" + bytes(20), "executable"),
        (b"MZ\x90\x00\x03" + bytes(60), "executable"),
        (b"\xcf\xfa\xed\xfe" + bytes(20), "executable"),
        (b"#!/bin/sh\nrm -rf /", "script"),
        (b"\x00asm\x01\x00\x00\x00", "executable"),
        (b"PK\x03\x04" + bytes(30), "archive"),
        (b"\x1f\x8b\x08" + bytes(30), "archive"),
    ],
)
def test_what_is_never_loaded_is_refused_by_name(data, name):
    with pytest.raises(MediaRefused, match=name):
        check_format(data, POLICY)


@pytest.mark.parametrize("data", [b"<!DOCTYPE html><p>", b"<html>", b"\n <HTML lang=en>"])
def test_web_page_is_called_one(data):
    with pytest.raises(MediaUnreadable, match="web page"):
        check_format(data, POLICY)


@pytest.mark.parametrize(
    "data", [b"x", b"plain words", b"MZ starts a sentence", bytes(1_000), b"{}", b"\xff" * 500]
)
def test_unknown_bytes_are_unreadable(data):
    with pytest.raises(MediaUnreadable, match="no picture of a known format"):
        check_format(data, POLICY)


def test_noise_is_no_sound():
    chance = np.random.default_rng(0)
    for _ in range(20):
        with pytest.raises(MediaUnreadable):
            check_format(b"?" + chance.bytes(65_536), POLICY)


# ---------------------------------------------------------------- sounds behind something else


def id3_tag(size, *, footer=False):
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    flags = bytes([0x10 if footer else 0])
    return b"ID3\x04\x00" + flags + sizes + bytes(size) + bytes(10 if footer else 0)


@pytest.mark.parametrize(
    "before",
    [
        id3_tag(200),
        id3_tag(300_000),
        id3_tag(100) + id3_tag(50),
        id3_tag(100, footer=True),
        bytes(1_000),
        id3_tag(100) + bytes(1_000),
        b"junk of some player" * 20,
    ],
    ids=["tag", "large tag", "two tags", "footer", "zeros", "tag and zeros", "junk"],
)
def test_sound_behind_tags_and_padding_is_known(before):
    assert check_format(before + MADE["mp3"](), POLICY) == "mp3"


def test_other_sound_behind_a_tag_is_what_it_is():
    assert check_format(id3_tag(100) + MADE["flac"](), POLICY) == "flac"


@pytest.mark.parametrize(
    "data",
    [
        id3_tag(100) + b"#EXTM3U\nhttp://127.0.0.1/a.ts\n" + bytes(100),
        id3_tag(5) + id3_tag(100) + b"ffconcat version 1.0\nfile /etc/passwd",
        id3_tag(100) + b"x=y\nc=IN IP4 127.0.0.1\n",
    ],
)
def test_playlist_behind_a_tag_is_refused(data):
    with pytest.raises(MediaRefused, match=r"playlist|session"):
        check_format(data, POLICY)


@pytest.mark.parametrize("data", [id3_tag(100), id3_tag(100)[:50], id3_tag(9) + b"words"])
def test_tag_with_nothing_behind_it_is_unreadable(data):
    with pytest.raises(MediaUnreadable):
        check_format(data, POLICY)


def test_wave_file_with_other_chunks_first_is_known():
    sound = sound_bytes(0.1)
    chunk = b"LIST" + struct.pack("<I", 400) + bytes(400)
    assert check_format(sound[:12] + chunk + sound[12:], POLICY) == "wav"


# ---------------------------------------------------------------- whatever the source


def test_formats_hold_for_each_kind_of_source(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe")
    for value in (
        path,
        path.as_uri(),
        b"%!PS-Adobe",
        io.BytesIO(b"%!PS-Adobe"),
        "data:image/png,%25!PS",
    ):
        with pytest.raises((MediaRefused, MediaUnreadable)):
            read_source(source_of(value), POLICY)


def test_ending_of_the_name_does_not_matter(tmp_path):
    path = tmp_path / "a.txt"
    Image.new("RGB", (2, 2)).save(path, "PNG")
    assert read_source(source_of(path), POLICY).startswith(b"\x89PNG")
