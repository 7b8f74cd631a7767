"""The fast way: smaller while decoding, never below what the model looks at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmrerank.media import MediaPolicy, video
from mmrerank.media.image import decode_image, image_from_pil
from mmrerank.media.shrink import shrunk_size
from mmrerank.media.video import decode_video
from mmrerank.types import DecodeBudget
from tests.media.making import clip_bytes, gradient, picture_bytes

POLICY = MediaPolicy()


def fast(least_pixels):
    return DecodeBudget(fast=True, max_image_pixels=least_pixels, max_frame_pixels=least_pixels)


def shape_of(data, least_pixels):
    return decode_image(data, fast(least_pixels), POLICY).pixels.shape[:2]


@pytest.mark.parametrize(
    ("least_pixels", "shape"),
    [
        (800 * 600, (600, 800)),
        (400 * 300 + 1, (600, 800)),
        (400 * 300, (300, 400)),
        (200 * 150, (150, 200)),
        (100 * 75, (75, 100)),
        (50, (9, 12)),  # drafted to an eighth, then blocks of 8
        (None, (600, 800)),
    ],
)
def test_photo_is_decoded_at_the_smallest_scale_that_keeps_enough(least_pixels, shape):
    data = picture_bytes(gradient(800, 600), "JPEG", quality=95)
    found = shape_of(data, least_pixels)
    assert found == shape or (least_pixels == 50 and 50 <= found[0] * found[1] < 200)


def test_shrunk_photo_looks_like_the_exact_one():
    data = picture_bytes(gradient(800, 600), "JPEG", quality=95)
    exact = decode_image(data, DecodeBudget(), POLICY).pixels
    expected = np.asarray(Image.fromarray(exact).reduce(4))
    shrunk = decode_image(data, fast(200 * 150), POLICY).pixels
    assert np.abs(shrunk.astype(int) - expected.astype(int)).mean() < 2


def test_shrunk_photo_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = picture_bytes(gradient(800, 600), "JPEG", exif=exif)
    assert shape_of(data, 400 * 300) == (400, 300)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_other_formats_are_reduced_after_decoding(kind):
    assert shape_of(picture_bytes(gradient(400, 300), kind), 200 * 150) == (150, 200)
    assert shape_of(picture_bytes(gradient(400, 300), kind), 200 * 150 + 1) == (300, 400)


def test_pil_image_is_reduced_and_left_as_it_was():
    image = gradient(400, 300)
    assert image_from_pil(image, fast(200 * 150), POLICY).pixels.shape == (150, 200, 3)
    assert image.size == (400, 300)


def test_memory_is_counted_after_the_photo_was_shrunk():
    data = picture_bytes(gradient(800, 600), "JPEG")
    policy = MediaPolicy(max_decoded_bytes=400 * 300 * 3)
    assert decode_image(data, fast(400 * 300), policy).pixels.shape == (300, 400, 3)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 3_000_000))
def test_frame_keeps_enough_pixels_even_sides_and_its_proportions(width, height, least_pixels):
    small = shrunk_size(width, height, least_pixels)
    if small == (width, height):
        return
    assert small[0] * small[1] >= least_pixels
    assert small[0] * small[1] <= width * height
    assert small[0] % 2 == small[1] % 2 == 0
    scale = (least_pixels / (width * height)) ** 0.5
    assert abs(small[0] - width * scale) <= 2.001
    assert abs(small[1] - height * scale) <= 2.001


@pytest.fixture(params=["torchcodec", "pyav"])
def backend(request, monkeypatch):
    if request.param == "torchcodec":
        request.getfixturevalue("torchcodec_loads")
    monkeypatch.setattr(video, "decoder_backend", lambda: request.param)
    return request.param


def test_frames_of_a_clip_are_shrunk_while_decoding(backend):
    data = clip_bytes(width=256, height=128)
    exact = decode_video(data, DecodeBudget(fps=2), POLICY)
    shrunk = decode_video(data, DecodeBudget(fps=2, fast=True, max_frame_pixels=64 * 32), POLICY)
    assert shrunk.frames.shape == (6, 32, 64, 3)
    assert shrunk.frame_indices == exact.frame_indices
    reds = exact.frames[:, ::4, ::4, 0].astype(int) - shrunk.frames[..., 0].astype(int)
    assert np.abs(reds).max() <= 3


def test_memory_of_a_clip_is_counted_after_its_frames_were_shrunk(backend):
    data = clip_bytes(width=256, height=128)
    policy = MediaPolicy(max_decoded_bytes=100_000)
    budget = DecodeBudget(fps=2, fast=True, max_frame_pixels=64 * 32)
    assert decode_video(data, budget, policy).frames.shape == (6, 32, 64, 3)
