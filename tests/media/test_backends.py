"""torchcodec and PyAV give the same pictures and sounds, whatever a file was made by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mmrerank.inputs.sniff import HEAD_BYTES, has_poor_timestamps
from mmrerank.media import MediaPolicy, decoder_backend, video
from mmrerank.media.audio import samples_by_pyav, samples_by_torchcodec
from mmrerank.media.video import decode_video, frames_by_torchcodec
from mmrerank.media.video_pyav import frames_by_pyav
from mmrerank.types import DecodeBudget
from tests.media.making_by_ffmpeg import CLIPS, SOUNDS, decode_through, make_clip, make_sound

FIXTURES = Path(__file__).parents[2] / "fixtures"
POLICY = MediaPolicy()
BUDGET = DecodeBudget(fps=4.0, min_frames=2, max_frames=16)
LEAST_DB = 40.0

# torchcodec finds wrong frames in these, and is not asked.
WITHOUT_TIMESTAMPS = {
    "mpeg4 in avi",
    "mpeg4 with B-frames in avi",
    "mpeg transport stream",
    "mpeg program stream",
}
CLIP_FILES = [
    *("media/bunny.mp4", "media/temple.webm", "media/rocket.gif"),
    *("demo/blue-square-left.mp4", "demo/green-triangle-up.mp4"),
]
SOUND_FILES = [
    *("media/bunny.mp4", "media/temple.webm", "media/coins_drop.wav", "media/door.flac"),
    *("media/helicopter.ogg", "media/speech.flac", "media/speech.wav", "media/water.mp3"),
    *("demo/coins_drop.flac", "demo/door.flac"),
    *("demo/low-noisy-tone.flac", "demo/two-high-tones.flac"),
]


MakeOf = Callable[[str], bytes]


@pytest.fixture(scope="module")
def clip_of(tmp_path_factory) -> MakeOf:
    """kind → its bytes, made once."""
    return cache(lambda kind: make_clip(kind, tmp_path_factory.mktemp("clip")))


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    """Of the worst frame. one, other: (num_frames, height, width, 3) uint8."""
    errors = ((one.astype(np.float64) - other) ** 2).mean(axis=(1, 2, 3))
    return float(10 * np.log10(255.0**2 / max(errors.max(), 1e-9)))


def snr_db(one: np.ndarray, other: np.ndarray) -> float:
    """one, other: (channels, samples) float32."""
    noise = float(((one.astype(np.float64) - other) ** 2).sum())
    return float(10 * np.log10(float((one.astype(np.float64) ** 2).sum()) / max(noise, 1e-12)))


def assert_same_clip(data: bytes) -> None:
    one, other = frames_by_torchcodec(data, BUDGET, POLICY), frames_by_pyav(data, BUDGET, POLICY)
    assert one.frame_indices == other.frame_indices
    assert one.total_num_frames == other.total_num_frames
    assert one.fps == pytest.approx(other.fps, rel=1e-6)
    assert one.frames.shape == other.frames.shape
    assert psnr_db(one.frames, other.frames) >= LEAST_DB


def assert_same_sound(data: bytes) -> None:
    one, one_hz = samples_by_torchcodec(data, 10.0, POLICY)
    other, other_hz = samples_by_pyav(data, 10.0, POLICY)
    assert one_hz == other_hz
    assert one.shape[0] == other.shape[0]
    assert abs(one.shape[1] - other.shape[1]) <= 2_048  # a frame of the longest codec here, HE-AAC
    num_samples = min(one.shape[1], other.shape[1])
    assert snr_db(one[:, :num_samples], other[:, :num_samples]) >= LEAST_DB


# ---------------------------------------------------------------- both decoders


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize("kind", sorted(CLIPS.keys() - WITHOUT_TIMESTAMPS))
def test_clip_of_each_kind_is_the_same_by_both_decoders(kind, clip_of):
    assert_same_clip(clip_of(kind))


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize("file", CLIP_FILES)
def test_clip_file_is_the_same_by_both_decoders(file):
    assert_same_clip((FIXTURES / file).read_bytes())


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize("kind", sorted(SOUNDS))
def test_sound_of_each_kind_is_the_same_by_both_decoders(kind, tmp_path):
    assert_same_sound(make_sound(kind, tmp_path))


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize("file", SOUND_FILES)
def test_sound_file_is_the_same_by_both_decoders(file):
    assert_same_sound((FIXTURES / file).read_bytes())


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize("kind", sorted(WITHOUT_TIMESTAMPS))
def test_torchcodec_is_not_asked_where_it_has_no_timestamps_to_seek_by(kind, clip_of, monkeypatch):
    monkeypatch.setattr(video, "frames_by_torchcodec", lambda *rest: pytest.fail("was asked"))
    data = clip_of(kind)
    assert has_poor_timestamps(data[:HEAD_BYTES])
    decoded = decode_video(data, BUDGET, POLICY)
    assert (decoded.total_num_frames, len(decoded.frame_indices)) == (75, 12)


# ---------------------------------------------------------------- the ffmpeg program as judge


@pytest.mark.parametrize("kind", sorted(CLIPS))
def test_frames_are_those_that_decoding_it_through_gives(kind, clip_of, tmp_path):
    data = clip_of(kind)
    decoded = decode_video(data, BUDGET, POLICY)
    through = decode_through(data, decoded.frames.shape[1:], tmp_path)
    assert len(through) == decoded.total_num_frames
    assert psnr_db(through[list(decoded.frame_indices)], decoded.frames) >= LEAST_DB


# ---------------------------------------------------------------- without torchcodec


def test_option_hides_torchcodec_from_all_that_runs_here(pytestconfig):
    is_hidden = pytestconfig.getoption("hide_torchcodec")
    assert decoder_backend() == ("pyav" if is_hidden else "torchcodec")
