"""An MP4 that claims more samples than it has bytes is refused before FFmpeg sees it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.errors import MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.decode import decode_bytes
from mmrerank.media.mp4 import check_sample_counts
from mmrerank.types import Audio, DecodeBudget, Video
from tests.media.making import clip_bytes, gradient, pdf_bytes, picture_bytes


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def fragment(count: int) -> bytes:
    run = box(b"trun", bytes(4) + count.to_bytes(4, "big"))
    return box(b"ftyp", b"isom" + bytes(4)) + box(b"moof", box(b"traf", run))


def test_run_of_more_samples_than_bytes_is_refused():
    with pytest.raises(MediaUnreadable, match="claims 50,000,000 samples"):
        check_sample_counts(fragment(50_000_000))


def test_run_of_as_many_samples_as_there_may_be_is_let_through():
    check_sample_counts(fragment(3))


def test_size_table_of_more_samples_than_bytes_is_refused():
    table = box(b"stsz", bytes(8) + (10_000_000).to_bytes(4, "big"))
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        table = box(kind, table)
    with pytest.raises(MediaUnreadable, match="claims 10,000,000 samples"):
        check_sample_counts(table)


def test_real_clip_is_let_through():
    check_sample_counts(clip_bytes(30))


def test_open_file_is_looked_at_as_its_bytes_are(tmp_path):
    (tmp_path / "a.mp4").write_bytes(fragment(50_000_000))
    with open(tmp_path / "a.mp4", "rb") as file, pytest.raises(MediaUnreadable):
        check_sample_counts(file)


@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_any_bytes_end(junk, size):
    data = size.to_bytes(4, "big") + b"moov" + junk
    with suppress(MediaUnreadable):
        check_sample_counts(data)


@pytest.mark.parametrize("part", [Audio, Video])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_picture_is_no_sound_and_no_clip(part, kind):
    data = picture_bytes(gradient(), kind)
    with pytest.raises(MediaUnreadable, match=r"it is a picture.*wrap it in Image"):
        decode_bytes(part(data), data, DecodeBudget(), MediaPolicy())


def test_pdf_is_no_clip():
    data = pdf_bytes((20, 20))
    with pytest.raises(MediaUnreadable, match="it is a PDF, no clip"):
        decode_bytes(Video(data), data, DecodeBudget(), MediaPolicy())


def test_moving_gif_is_a_clip():
    frames = [gradient(16 + i, 12).resize((16, 12)) for i in range(6)]
    data = picture_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)
    decoded = decode_bytes(Video(data), data, DecodeBudget(), MediaPolicy())
    assert decoded.num_bytes > 0
