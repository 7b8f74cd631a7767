"""Which frames are taken: golden values and what holds for every clip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.errors import MediaUnreadable
from mmrerank.media import sample_frame_indices
from mmrerank.media.sampling import GivenFrames, all_indices
from mmrerank.types import DecodeBudget

BUDGET = DecodeBudget(fps=1.0, min_frames=2, max_frames=8, frame_multiple=2)


@pytest.mark.parametrize(
    ("total", "fps", "duration", "expected"),
    [
        (250, 25.0, 10.0, (0, 36, 71, 107, 142, 178, 213, 249)),  # 10 wanted, 8 allowed
        (100, 25.0, 4.0, (0, 33, 66, 99)),
        (100, 25.0, None, (0, 33, 66, 99)),
        (125, 25.0, 5.0, (0, 41, 83, 124)),  # 5 wanted, floored to the multiple
        (175, 25.0, 7.0, (0, 35, 70, 104, 139, 174)),
        (10, 25.0, 0.4, (0, 9)),  # at least min_frames
        (3, 0.5, 6.0, (0, 2)),  # never more than the clip has, floored to the multiple
        (2, 25.0, 0.08, (0, 1)),
        (1, 25.0, 0.04, (0, 0)),  # the only frame repeats
        (50, 0.0, None, (0, 49)),  # unknown speed
    ],
)
def test_sampled_indices_are_these(total, fps, duration, expected):
    assert sample_frame_indices(total, fps, duration, BUDGET) == expected


def test_clip_shorter_than_the_multiple_repeats_its_last_frame():
    assert sample_frame_indices(3, 25.0, None, DecodeBudget(frame_multiple=4)) == (0, 1, 2, 2)


def test_clip_shorter_than_the_least_number_is_not_stretched():
    budget = DecodeBudget(min_frames=5, frame_multiple=1)
    assert sample_frame_indices(3, 25.0, None, budget) == (0, 1, 2)


def test_clip_without_frames_is_unreadable():
    with pytest.raises(MediaUnreadable, match="no frames"):
        sample_frame_indices(0, 25.0, 1.0, BUDGET)


budgets = st.builds(
    DecodeBudget,
    fps=st.floats(0.1, 30),
    min_frames=st.integers(0, 20),
    max_frames=st.integers(20, 100),
    frame_multiple=st.integers(1, 5),
)


@given(st.integers(1, 5_000), st.floats(0, 120), st.none() | st.floats(0, 4_000), budgets)
def test_indices_are_ordered_within_the_clip_and_a_multiple(total, fps, duration, budget):
    indices = sample_frame_indices(total, fps, duration, budget)
    assert len(indices) % budget.frame_multiple == 0
    assert budget.frame_multiple <= len(indices) <= max(budget.max_frames, budget.frame_multiple)
    assert list(indices) == sorted(indices)
    assert indices[0] == 0
    assert indices[-1] == total - 1 or budget.frame_multiple == len(indices) == 1
    assert len(set(indices)) == min(len(indices), total)


@given(st.integers(1, 300), budgets)
def test_all_indices_keep_every_frame_that_fits(total, budget):
    indices = all_indices(total, budget)
    assert len(indices) % budget.frame_multiple == 0
    if total <= budget.max_frames // budget.frame_multiple * budget.frame_multiple:
        assert set(indices) == set(range(total))


def test_given_frames_with_their_indices_are_kept_and_named():
    given_frames = GivenFrames.read({"fps": 2, "frames_indices": np.array([0, 5, 9])})
    assert given_frames.positions(3, BUDGET) == (0, 1, 2, 2)
    assert [given_frames.index_of(position) for position in (0, 1, 2)] == [0, 5, 9]
    assert given_frames.total(3) == 10


def test_given_frames_with_only_a_speed_are_sampled():
    assert GivenFrames.read({"fps": 25.0}).positions(100, BUDGET) == (0, 33, 66, 99)


def test_given_frames_of_unknown_speed_are_sampled_as_24_a_second():
    assert GivenFrames.read(None).positions(4, BUDGET) == (0, 3)
    assert GivenFrames.read({"fps": None}).positions(97, BUDGET) == (0, 32, 64, 96)


@pytest.mark.parametrize("metadata", [{"fps": "fast"}, {"frames_indices": 3}, {"duration": [1]}])
def test_metadata_that_cannot_be_read_is_refused(metadata):
    with pytest.raises(MediaUnreadable, match="video_metadata"):
        GivenFrames.read(metadata)


def test_metadata_for_another_number_of_frames_is_refused():
    with pytest.raises(MediaUnreadable, match="3 frames_indices for 2 frames"):
        GivenFrames.read({"frames_indices": [0, 1, 2]}).positions(2, BUDGET)
