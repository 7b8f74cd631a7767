"""Sizes as users write them."""

from __future__ import annotations

import pytest

from mmrerank.cross_encoder.sizes import num_bytes_of
from mmrerank.errors import WrongArgument


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (12, 12), ("12", 12), ("2GiB", 2 << 30), ("500 MB", 500_000_000), ("1.5kib", 1536)],
)
def test_size_is_read(value, expected):
    assert num_bytes_of(value, "media_cache") == expected


@pytest.mark.parametrize("value", [-1, "much", "2 GiBit", None, True, 2.5, [], "-1"])
def test_anything_else_is_refused_by_its_name(value):
    with pytest.raises(WrongArgument, match="media_cache"):
        num_bytes_of(value, "media_cache")
