"""Equal shares of a window for over-long documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.prompting.shares import fair_lengths


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ([3, 4], 7, [3, 4]),
        ([100, 2, 100], 42, [20, 2, 20]),
        ([100, 2, 100], 43, [21, 2, 20]),
        ([9, 9, 9], 2, [1, 1, 0]),
        ([5, 5], 0, [0, 0]),
        ([5, 5], -3, [0, 0]),
        ([], 10, []),
    ],
)
def test_longest_documents_are_cut_first(lengths: list[int], room: int, kept: list[int]) -> None:
    assert fair_lengths(lengths, room) == kept


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 200))
def test_room_is_used_up_and_no_cut_one_is_shorter_than_a_whole_one(
    lengths: list[int], room: int
) -> None:
    kept = fair_lengths(lengths, room)
    assert sum(kept) == min(room, sum(lengths))
    cut = [own for own, length in zip(kept, lengths, strict=True) if own < length]
    assert all(own <= length for own, length in zip(kept, lengths, strict=True))
    assert not cut or (max(cut) - min(cut) <= 1 and max(kept) <= max(cut) + 1)
