"""Pillow opens the known formats only, and keeps its warnings to itself while we decode."""

from __future__ import annotations

import logging
import struct
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.image import decode_image
from mmrerank.media.pillow import pillow_at_work
from mmrerank.types import DecodeBudget
from tests.media.making import gradient, picture_bytes

POLICY, BUDGET = MediaPolicy(), DecodeBudget()


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "PCX", "ICO", "SGI", "DDS"])
def test_formats_that_nobody_asked_for_are_not_opened(kind, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *rest: pytest.fail("started"))
    with pytest.raises(MediaUnreadable, match="no picture of a known format"):
        decode_image(picture_bytes(gradient(), kind), BUDGET, POLICY)


def test_heic_says_that_it_is_not_decoded():
    with pytest.raises(MediaUnreadable, match="HEIC"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(100), BUDGET, POLICY)


def jpeg_with_exif(block):
    data = picture_bytes(gradient(), "JPEG")
    segment = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


BROKEN_EXIF = [
    b"",
    b"garbage",
    b"II*\0\xff\xff\xff\x7f",
    b"II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff",
    b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04six\0\0\0\0\0",
]


@pytest.mark.parametrize("block", BROKEN_EXIF)
def test_broken_exif_is_taken_for_upright_in_silence(block, recwarn):
    pixels = decode_image(jpeg_with_exif(block), BUDGET, POLICY).pixels
    expected = decode_image(picture_bytes(gradient(), "JPEG"), BUDGET, POLICY).pixels
    np.testing.assert_array_equal(pixels, expected)
    assert not recwarn.list


def test_what_pillow_warns_of_goes_to_the_log(caplog):
    with caplog.at_level(logging.DEBUG, "mmrerank.media.pillow"):
        decode_image(jpeg_with_exif(BROKEN_EXIF[3]), BUDGET, POLICY)
    assert "pillow: " in caplog.text


def test_pillow_warns_as_before_outside_of_our_work(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.warns(Image.DecompressionBombWarning):
        Image._decompression_bomb_check((11, 10))
    done = []

    def warn_elsewhere():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Image._decompression_bomb_check((11, 10))
        done.append(len(caught))

    with pillow_at_work("trouble"):
        Image._decompression_bomb_check((11, 10))  # an error in this suite, were it a warning
        other = threading.Thread(target=warn_elsewhere)
        other.start()
        other.join()
    assert done == [1]


def test_own_limit_counts_where_pillows_is_lower(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind in ("JPEG", "PNG", "GIF", "BMP"):
        assert decode_image(picture_bytes(gradient(), kind), BUDGET, POLICY).pixels.shape[0] == 12


def test_limit_that_pillow_keeps_itself_is_told_in_our_words(monkeypatch):
    data = picture_bytes(gradient(), "TIFF")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(MediaTooLarge, match=r"raise PIL\.Image\.MAX_IMAGE_PIXELS"):
        decode_image(data, BUDGET, POLICY)
