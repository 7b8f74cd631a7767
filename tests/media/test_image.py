"""Pictures of each kind become upright RGB over white."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.image import decode_image, image_from_array, image_from_pil
from mmrerank.types import DecodeBudget
from tests.media.making import gradient, picture_bytes

POLICY = MediaPolicy()
BUDGET = DecodeBudget()


def pixels_of(data):
    pixels = decode_image(data, BUDGET, POLICY).pixels
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    return pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_opaque_picture_is_what_pillow_makes_of_it(kind, mode):
    data = picture_bytes(gradient().convert(mode), kind)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(pixels_of(data), expected)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr"])
def test_other_modes_are_converted(mode):
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    pixels = pixels_of(picture_bytes(gradient().convert(mode), kind))
    assert pixels.shape == (12, 16, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_the_camera_is_undone(orientation):
    upright = gradient()
    turned = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if turned is None else upright.transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = picture_bytes(stored, "PNG", exif=exif)
    np.testing.assert_array_equal(pixels_of(data), np.asarray(upright))
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(
            image_from_pil(image, BUDGET, POLICY).pixels, np.asarray(upright)
        )


def test_transparency_lies_over_white():
    layer = Image.new("RGBA", (3, 1), (100, 0, 0, 255))
    layer.putpixel((1, 0), (100, 0, 0, 0))
    layer.putpixel((2, 0), (100, 0, 0, 128))
    assert pixels_of(picture_bytes(layer)).tolist() == [
        [[100, 0, 0], [255, 255, 255], [177, 127, 127]]
    ]
    gray = Image.new("LA", (2, 1), (10, 255))
    gray.putpixel((1, 0), (10, 0))
    assert pixels_of(picture_bytes(gray)).tolist() == [[[10] * 3, [255] * 3]]


def test_transparent_palette_colour_lies_over_white():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    data = picture_bytes(image, "PNG", transparency=0)
    assert pixels_of(data).tolist() == [[[255, 255, 255], [0, 0, 200]]]


def test_sixteen_bit_gray_keeps_its_range():
    values = np.array([[0, 257 * 7, 65_535]], np.uint16)
    assert pixels_of(picture_bytes(Image.fromarray(values))).tolist() == [
        [[0] * 3, [7] * 3, [255] * 3]
    ]


def test_animation_gives_its_first_frame():
    red, blue = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    data = picture_bytes(red, "GIF", save_all=True, append_images=[blue])
    assert pixels_of(data)[0, 0].tolist() == [255, 0, 0]


def test_pil_image_is_left_as_it_was():
    image = gradient().convert("RGBA")
    before = image.tobytes()
    image_from_pil(image, BUDGET, POLICY)
    assert (image.mode, image.tobytes()) == ("RGBA", before)


# ---------------------------------------------------------------- arrays


@pytest.mark.parametrize(
    "array",
    [
        np.asarray(gradient()),
        np.moveaxis(np.asarray(gradient()), -1, 0),
        np.asarray(gradient()).astype(np.int64),
        np.asarray(gradient()).astype(np.float32),
        np.asarray(gradient()).astype(np.float64) / 255,
        np.asarray(gradient()).astype(np.uint16) * 257,
    ],
    ids=["hwc", "chw", "int64", "float-255", "float-1", "uint16"],
)
def test_layouts_and_dtypes_of_one_picture_agree(array):
    expected = np.asarray(gradient())
    np.testing.assert_array_equal(image_from_array(array, BUDGET, POLICY).pixels, expected)


def test_torch_tensor_also_in_bfloat16_is_read():
    import torch

    tensor = torch.tensor(np.asarray(gradient())).permute(2, 0, 1)
    np.testing.assert_array_equal(
        image_from_array(tensor, BUDGET, POLICY).pixels, np.asarray(gradient())
    )
    ones = torch.ones(3, 4, 5, dtype=torch.bfloat16)
    assert image_from_array(ones, BUDGET, POLICY).pixels.min() == 255


def test_gray_and_transparent_arrays_become_rgb():
    assert (
        image_from_array(np.full((2, 5), 9, np.uint8), BUDGET, POLICY).pixels.tolist()
        == [[[9] * 3] * 5] * 2
    )
    clear = np.zeros((2, 5, 4), np.uint8)
    assert image_from_array(clear, BUDGET, POLICY).pixels.min() == 255


def test_first_axis_counts_where_both_could_be_channels():
    array = np.zeros((3, 5, 3), np.uint8)
    assert image_from_array(array, BUDGET, POLICY).pixels.shape == (5, 3, 3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.full((4, 4, 3), np.inf), "infinite"),
        (np.full((4, 4, 3), -0.5), "Undo the normalisation"),
        (np.full((4, 4, 3), 300), "Undo the normalisation"),
        (np.zeros((0, 4, 3)), "empty"),
        (np.zeros((5, 5, 7)), "no axis has 1, 3 or 4"),
        (np.zeros(4), "expected 2 or 3 dimensions"),
        (np.zeros((4, 4, 3), complex), "complex128"),
    ],
)
def test_array_that_is_no_picture_says_why(array, message):
    with pytest.raises(MediaUnreadable, match=message):
        image_from_array(array, BUDGET, POLICY)


# ---------------------------------------------------------------- hostile


def png_that_claims(width, height):
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_400, 12_000, 50_000])
def test_claimed_pixels_are_refused_before_decoding(side, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(MediaTooLarge, match=r"[Tt]he policy allows"):
        decode_image(png_that_claims(side, side), BUDGET, MediaPolicy(max_pixels=80_000_000))


def test_own_limit_of_pixels_counts_for_each_kind_of_source():
    policy = MediaPolicy(max_pixels=100)
    with pytest.raises(MediaTooLarge, match="16x12 px is 192 pixels, the policy allows 100"):
        decode_image(picture_bytes(gradient()), BUDGET, policy)
    with pytest.raises(MediaTooLarge):
        image_from_pil(gradient(), BUDGET, policy)
    with pytest.raises(MediaTooLarge):
        image_from_array(np.asarray(gradient()), BUDGET, policy)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_picture_is_unreadable(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = picture_bytes(Image.fromarray(noise), kind)
    with pytest.raises(MediaUnreadable):
        decode_image(data[: int(len(data) * share)], BUDGET, POLICY)


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a"]
)
def test_bytes_that_are_no_picture_are_unreadable(data):
    with pytest.raises(MediaUnreadable):
        decode_image(data, BUDGET, POLICY)
