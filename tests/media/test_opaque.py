"""See-through pictures of each kind, over white, over black, or with their opacity dropped."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mmrerank.media import MediaPolicy
from mmrerank.media.image import decode_image, image_from_array, image_from_pil
from mmrerank.media.opaque import rgb_of
from mmrerank.types import DecodeBudget
from tests.media.making import gradient, picture_bytes

POLICY = MediaPolicy()
BELOW = {"white": 255, "black": 0}


def layer():
    """Opaque, clear and half clear."""
    image = Image.new("RGBA", (3, 1), (100, 0, 0, 255))
    image.putpixel((1, 0), (100, 0, 0, 0))
    image.putpixel((2, 0), (100, 0, 0, 128))
    return image


EXPECTED = {
    "white": [[[100, 0, 0], [255, 255, 255], [177, 127, 127]]],
    "black": [[[100, 0, 0], [0, 0, 0], [50, 0, 0]]],
    "drop": [[[100, 0, 0]] * 3],
}


@pytest.mark.parametrize("transparency", ["white", "black", "drop"])
def test_file_picture_and_array_follow_the_budget(transparency):
    budget = DecodeBudget(transparency=transparency)
    expected = EXPECTED[transparency]
    assert decode_image(picture_bytes(layer()), budget, POLICY).pixels.tolist() == expected
    assert image_from_pil(layer(), budget, POLICY).pixels.tolist() == expected
    rows = np.repeat(np.asarray(layer()), 2, axis=0)  # one row would be taken for one channel
    assert image_from_array(rows, budget, POLICY).pixels.tolist() == expected * 2


@pytest.mark.parametrize("transparency", ["white", "black"])
@pytest.mark.parametrize("mode", ["LA", "La", "PA", "RGBa"])
def test_clear_pixels_of_rarer_modes_show_what_is_below(mode, transparency):
    source = Image.new("LA" if mode in ("LA", "La") else "RGBA", (2, 1))
    source.putpixel((0, 0), (10, 255) if source.mode == "LA" else (10, 10, 10, 255))
    image = source if mode == "PA" else source.convert(mode)
    if mode == "PA":
        image = Image.new("PA", (2, 1))
        image.putpalette([10, 10, 10, 0, 0, 0])
        image.putpixel((0, 0), (0, 255))
        image.putpixel((1, 0), (0, 0))
    pixels = image_from_pil(image, DecodeBudget(transparency=transparency), POLICY).pixels
    assert pixels.tolist() == [[[10] * 3, [BELOW[transparency]] * 3]]


def test_drop_is_pillows_own_conversion_of_a_palette_with_opacities():
    image = gradient().quantize(8)
    data = picture_bytes(image, "PNG", transparency=bytes([0, 128, 255]))
    with Image.open(io.BytesIO(data)) as opened, pytest.warns(UserWarning, match="Palette"):
        expected = np.asarray(opened.convert("RGB"))
    pixels = decode_image(data, DecodeBudget(transparency="drop"), POLICY).pixels
    np.testing.assert_array_equal(pixels, expected)


def test_gray_that_counts_as_clear_in_a_sixteen_bit_picture_shows_what_is_below():
    values = np.array([[0, 257 * 7, 65_535]], np.uint16)
    data = picture_bytes(Image.fromarray(values), "PNG", transparency=257 * 7)
    kept = decode_image(data, DecodeBudget(transparency="drop"), POLICY).pixels[0, :, 0]
    white = decode_image(data, DecodeBudget(), POLICY).pixels[0, :, 0]
    assert kept.tolist() == [0, 7, 255]
    assert white.tolist() == [0, 255, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_a_see_through_animation_is_laid_over_black(kind):
    first = Image.new("RGBA", (8, 8), (0, 200, 0, 255))
    first.paste((0, 0, 0, 0), (0, 0, 4, 8))
    second = Image.new("RGBA", (8, 8), (0, 0, 200, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = picture_bytes(first, kind, save_all=True, append_images=[second], **options)
    pixels = decode_image(data, DecodeBudget(transparency="black"), POLICY).pixels
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[0, 7].tolist() == pytest.approx([0, 200, 0], abs=2)


@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 2, 5, 4)])
def test_large_arrays_are_blended_in_parts_to_the_same_pixels(shape, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    whole = rgb_of(pixels, "white")
    monkeypatch.setattr("mmrerank.media.opaque._BLENDED_BYTES", 1)
    np.testing.assert_array_equal(rgb_of(pixels, "white"), whole)


def test_cmyk_of_a_camera_is_what_pillow_makes_of_it():
    data = picture_bytes(gradient().convert("CMYK"), "JPEG")
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(data, DecodeBudget(), POLICY).pixels, expected)
