"""The sampled frames of clips, arrays and lists of frames; both decoders agree."""

from __future__ import annotations

import numpy as np
import pytest

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy, video
from mmrerank.media.decode import decode_object
from mmrerank.media.source import source_of
from mmrerank.media.video import (
    decode_video,
    frames_by_torchcodec,
    video_from_array,
    video_from_decoder,
)
from mmrerank.media.video_pyav import frames_by_pyav
from mmrerank.types import DecodeBudget, Video
from tests.media.making import clip_bytes, gradient, picture_bytes, sound_bytes

POLICY = MediaPolicy()
BUDGET = DecodeBudget(fps=2.0, min_frames=2, max_frames=8)

FORMATS = [
    ("mp4", "libx264"),
    ("mov", "libx264"),
    ("matroska", "libx264"),
    ("webm", "libvpx-vp9"),
    ("flv", "flv"),
    ("avi", "mpeg4"),
]


@pytest.fixture(params=["torchcodec", "pyav"])
def backend(request, monkeypatch):
    if request.param == "torchcodec":
        request.getfixturevalue("torchcodec_loads")
    monkeypatch.setattr(video, "decoder_backend", lambda: request.param)
    return request.param


def reds(decoded):
    return [int(red) for red in decoded.frames[:, 0, 0, 0]]


@pytest.mark.parametrize(("container", "codec"), [*FORMATS, ("mpegts", "libx264")])
def test_clip_gives_the_sampled_frames(container, codec, backend):
    decoded = decode_video(clip_bytes(codec=codec, container=container), BUDGET, POLICY)
    assert decoded.frames.shape == (len(decoded.frame_indices), 48, 64, 3)
    assert decoded.frames.dtype == np.uint8
    assert decoded.total_num_frames == 30
    assert decoded.fps == pytest.approx(10, rel=0.05)
    assert (decoded.frame_indices[0], decoded.frame_indices[-1]) == (0, 29)
    assert len(decoded.frame_indices) == (4 if codec == "flv" else 6)  # flv: 2.9 s by its stamps
    # The frames taken are those that the indices name: red grows by 8 a frame.
    expected = [index * 8 for index in decoded.frame_indices]
    np.testing.assert_allclose(reds(decoded), expected, atol=9 if codec == "flv" else 6)


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize(("container", "codec"), FORMATS)
def test_torchcodec_and_pyav_give_the_same_frames(container, codec):
    data = clip_bytes(codec=codec, container=container)
    one, other = frames_by_torchcodec(data, BUDGET, POLICY), frames_by_pyav(data, BUDGET, POLICY)
    assert one.frame_indices == other.frame_indices
    assert one.total_num_frames == other.total_num_frames
    assert one.fps == pytest.approx(other.fps)
    np.testing.assert_allclose(one.frames.astype(int), other.frames.astype(int), atol=2)


def test_pyav_seeks_so_that_few_frames_are_decoded(monkeypatch):
    from mmrerank.media import video_pyav

    monkeypatch.setattr(video_pyav, "_by_counting", lambda *rest: pytest.fail("decoded through"))
    data = clip_bytes(200, key_every=10)
    decoded = frames_by_pyav(data, DecodeBudget(max_frames=4, fps=1), POLICY)
    assert decoded.frame_indices == (0, 66, 133, 199)


def test_pyav_decodes_through_where_seeking_misses(monkeypatch):
    from mmrerank.media import video_pyav

    data = clip_bytes()
    sought = frames_by_pyav(data, BUDGET, POLICY)
    monkeypatch.setattr(video_pyav, "_by_seeking", lambda *rest: None)
    counted = frames_by_pyav(data, BUDGET, POLICY)
    np.testing.assert_array_equal(sought.frames, counted.frames)


def test_second_decoder_is_asked_where_the_first_fails(monkeypatch, torchcodec_loads):
    def fail(*rest):
        raise RuntimeError("no")

    monkeypatch.setattr(video, "frames_by_torchcodec", fail)
    assert decode_video(clip_bytes(4), BUDGET, POLICY).total_num_frames == 4


def test_single_frame_repeats(backend):
    decoded = decode_video(clip_bytes(1), BUDGET, POLICY)
    assert decoded.frame_indices == (0, 0)
    np.testing.assert_array_equal(decoded.frames[0], decoded.frames[1])


def test_animated_gif_is_a_clip_when_asked_for(backend):
    frames = [gradient().point(lambda value, by=i: (value + 40 * by) % 256) for i in range(4)]
    data = picture_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=500)
    decoded = decode_video(data, BUDGET, POLICY)
    assert decoded.total_num_frames == 4
    assert decoded.frames.shape == (4, 12, 16, 3)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_pixels": 1_000}, "64x48 px is 3,072 pixels, the policy allows 1,000"),
        ({"max_media_s": 1}, "it lasts 3 s, the policy allows 1 s"),
        ({"max_frames": 4}, "6 frames would be decoded, the policy allows 4"),
    ],
)
def test_clip_that_passes_a_limit_is_refused_before_decoding(limits, message, backend):
    with pytest.raises(MediaTooLarge, match=message):
        decode_video(clip_bytes(), BUDGET, MediaPolicy(**limits))


@pytest.mark.parametrize("data", [b"a text that was renamed", b"\0\0\0\x20ftypisom", bytes(999)])
def test_bytes_that_are_no_clip_are_unreadable(data, backend):
    with pytest.raises(MediaUnreadable):
        decode_video(data, BUDGET, POLICY)


def test_truncated_clip_and_sound_file_are_unreadable(backend):
    with pytest.raises(MediaUnreadable):
        decode_video(clip_bytes()[:600], BUDGET, POLICY)
    with pytest.raises(MediaUnreadable, match=r"no such stream|no pictures"):
        decode_video(sound_bytes(), BUDGET, POLICY)


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_decoder_object_gives_what_its_file_gives(order):
    from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined]

    data = clip_bytes()
    decoded = video_from_decoder(VideoDecoder(data, dimension_order=order), BUDGET, POLICY)
    expected = decode_video(data, BUDGET, POLICY)
    np.testing.assert_array_equal(decoded.frames, expected.frames)
    assert decoded.frame_indices == expected.frame_indices


# ---------------------------------------------------------------- arrays

FRAMES = np.arange(10 * 6 * 8 * 3, dtype=np.uint32).reshape(10, 6, 8, 3).astype(np.uint8)


@pytest.mark.parametrize(
    "array",
    [FRAMES, np.moveaxis(FRAMES, -1, 1), FRAMES[None], np.moveaxis(FRAMES, -1, 1)[None]],
    ids=["thwc", "tchw", "1thwc", "1tchw"],
)
def test_layouts_of_one_clip_agree(array):
    decoded = video_from_array(array, {"fps": 10.0}, BUDGET, POLICY)
    assert decoded.frame_indices == (0, 9)
    np.testing.assert_array_equal(decoded.frames, FRAMES[[0, 9]])
    assert (decoded.fps, decoded.total_num_frames) == (10.0, 10)


def test_frames_that_are_sampled_already_are_kept():
    metadata = {"fps": 25.0, "frames_indices": [0, 30, 60, 90], "total_num_frames": 100}
    decoded = video_from_array(FRAMES[:4], metadata, BUDGET, POLICY)
    np.testing.assert_array_equal(decoded.frames, FRAMES[:4])
    assert decoded.frame_indices == (0, 30, 60, 90)
    assert (decoded.fps, decoded.total_num_frames) == (25.0, 100)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 4)), "expected 4 dimensions"),
        (np.zeros((2, 3, 4, 4, 3)), "expected 4 dimensions"),
        (np.zeros((2, 5, 5, 7)), "is not a clip"),
        (np.full((2, 4, 4, 3), np.nan), "NaN"),
    ],
)
def test_array_that_is_no_clip_says_why(array, message):
    with pytest.raises(MediaUnreadable, match=message):
        video_from_array(array, None, BUDGET, POLICY)


# ---------------------------------------------------------------- limits and damage


GIVEN = {"frames_indices": [0, 1, 2, 3]}
PICTURES = [gradient(100, 50)] * 4
ARRAY = np.broadcast_to(np.uint8(1), (4, 48, 100, 3))


@pytest.mark.parametrize(
    "decode",
    [
        lambda policy: decode_video(clip_bytes(), BUDGET, policy),
        lambda policy: video_from_array(ARRAY, GIVEN, BUDGET, policy),
        lambda policy: decode_object(Video(PICTURES, GIVEN), source_of(PICTURES), BUDGET, policy),
    ],
    ids=["file", "array", "list"],
)
def test_clip_that_fills_too_much_memory_names_the_ways_out(decode, backend):
    with pytest.raises(MediaTooLarge, match=r"fast_decode=True.*MediaPolicy\(max_decoded_bytes="):
        decode(MediaPolicy(max_decoded_bytes=40_000))


def test_damage_in_the_middle_gives_frames_or_an_error(backend):
    data = clip_bytes(60, key_every=5)
    for place in range(len(data) // 3, len(data), len(data) // 9):
        damaged = data[:place] + bytes(40) + data[place + 40 :]
        try:
            decoded = decode_video(damaged, BUDGET, POLICY)
        except MediaUnreadable:
            continue
        assert decoded.frames.shape[1:] == (48, 64, 3)


def test_clip_of_no_frames_is_unreadable(backend):
    with pytest.raises(MediaUnreadable):
        decode_video(clip_bytes(0), BUDGET, POLICY)


def test_speed_that_is_not_known_is_never_zero(monkeypatch, torchcodec_loads):
    from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined]

    decoder = VideoDecoder(clip_bytes())
    decoder.metadata.average_fps_from_header = None
    monkeypatch.setattr(type(decoder.metadata), "average_fps", 0.0, raising=False)
    decoder.metadata.average_fps = 0.0
    assert video_from_decoder(decoder, BUDGET, POLICY).fps == 24.0


@pytest.mark.parametrize(
    "metadata",
    [{"fps": []}, [1], {"frames_indices": 5}, {"total_num_frames": float("inf")}, {"fps": "x"}],
)
def test_odd_metadata_says_what_is_expected(metadata):
    with pytest.raises(MediaUnreadable, match="video_metadata"):
        video_from_array(FRAMES, metadata, BUDGET, POLICY)
