"""Arrays and tensors of every make: values, or an error that says why there are none."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy
from mmrerank.media.arrays import digest_of, to_numpy, to_uint8

POLICY = MediaPolicy()
ONES = np.ones((3, 4, 5), np.float32)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(3, 4, 5),
        torch.ones(3, 4, 5, dtype=torch.bfloat16),
        torch.ones(3, 4, 5).to(torch.float8_e4m3fn),
        torch.ones(3, 4, 5, requires_grad=True),
        torch.nn.Parameter(torch.ones(3, 4, 5)),
        torch.ones(5, 4, 3).permute(2, 1, 0),
        ONES[:, ::-1],
        ONES.astype(">f4"),
        np.ma.masked_array(ONES),
        np.broadcast_to(np.float32(1), (3, 4, 5)),
        np.asfortranarray(ONES),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layouts_and_kinds_of_one_array_give_its_values_and_its_digest(value):
    array = to_numpy(value, POLICY)
    np.testing.assert_array_equal(array, ONES)
    assert digest_of(array) == digest_of(ONES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.empty(3, 4, device="meta"), "on meta"),
        (lambda: torch.eye(4).to_sparse(), "Sparse"),
        (lambda: torch.ones(3, dtype=torch.complex64), "complex64"),
        (lambda: torch.ones(3, dtype=torch.complex64).conj(), "complex64"),
        (lambda: torch.full((2, 2), torch.nan), "NaN"),
        (lambda: np.ma.masked_array(np.ones(3), [False, True, False]), "masked"),
        (lambda: np.array([None, 1], object), "object"),
        (lambda: np.array(["a"]), "<U1"),
        (lambda: np.zeros(3, [("a", "i4")]), "holds no pixels"),
        (lambda: np.array(["2020-01-01"], "M8[D]"), "datetime64"),
        (lambda: np.array([1.0, -np.inf]), "infinite"),
        (lambda: torch.zeros(0, 3), "empty"),
    ],
)
def test_array_without_usable_values_says_why(make, message):
    with pytest.raises(MediaUnreadable, match=message):
        to_numpy(make(), POLICY)


@pytest.mark.parametrize(
    "value",
    [
        np.broadcast_to(np.float32(0), (3, 100_000, 100_000)),
        torch.zeros(1, dtype=torch.bfloat16).expand(3, 100_000, 100_000),
    ],
)
def test_repeated_values_are_counted_as_if_each_were_stored(value):
    with pytest.raises(MediaTooLarge, match=r"MediaPolicy\(max_decoded_bytes="):
        to_numpy(value, POLICY)


def test_large_arrays_are_checked_hashed_and_scaled_in_little_memory():
    array = np.broadcast_to(np.float64(0.5), (100, 1_000, 1_000))  # 800 MB, were it stored
    tracemalloc.start()
    pixels = to_uint8(to_numpy(array, POLICY))
    digest_of(array)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pixels.shape == array.shape
    assert most < 100_000_000 + 80_000_000  # the pixels, and some parts at work


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble, ">u2", np.uint64])
def test_pixels_of_any_dtype_are_scaled_alike_in_one_part_and_in_many(dtype, monkeypatch):
    array = np.arange(200).reshape(10, 4, 5).astype(dtype)
    whole = to_uint8(to_numpy(array, POLICY))
    monkeypatch.setattr("mmrerank.media.arrays._CHUNK_BYTES", 1)
    np.testing.assert_array_equal(to_uint8(to_numpy(array, POLICY)), whole)
    assert digest_of(array) == digest_of(array.copy())
