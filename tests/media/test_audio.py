"""Sounds of each kind become one channel at the model's rate; both decoders agree."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mmrerank.errors import MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy, audio
from mmrerank.media.audio import (
    audio_from_array,
    audio_from_decoder,
    decode_audio,
    samples_by_pyav,
    samples_by_torchcodec,
)
from mmrerank.types import DecodeBudget
from tests.media.making import clip_bytes, sound_bytes

POLICY = MediaPolicy()
BUDGET = DecodeBudget(sampling_rate_hz=16_000, max_audio_s=10.0)

FORMATS = [
    ("wav", "pcm_s16le", 22_050),
    ("flac", "flac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("ogg", "libopus", 48_000),
    ("adts", "aac", 22_050),
    ("mp4", "aac", 44_100),
]


@pytest.fixture(params=["torchcodec", "pyav"])
def backend(request, monkeypatch):
    if request.param == "torchcodec":
        request.getfixturevalue("torchcodec_loads")
    monkeypatch.setattr(audio, "decoder_backend", lambda: request.param)
    return request.param


@pytest.mark.parametrize(("container", "codec", "rate"), FORMATS)
def test_sound_file_becomes_mono_at_the_models_rate(container, codec, rate, backend):
    decoded = decode_audio(sound_bytes(rate=rate, codec=codec, container=container), BUDGET, POLICY)
    assert decoded.samples.dtype == np.float32
    assert decoded.sampling_rate_hz == 16_000
    assert decoded.samples.shape[0] == pytest.approx(16_000, abs=1_200)  # codecs pad a frame
    middle = decoded.samples[4_000:12_000]
    assert np.abs(middle).max() == pytest.approx(20_000 / 32_768 * 0.75, abs=0.03)
    strongest = np.abs(np.fft.rfft(middle)).argmax() * 16_000 / middle.size
    assert strongest == pytest.approx(440, abs=3)


@pytest.mark.usefixtures("torchcodec_loads")
@pytest.mark.parametrize(("container", "codec", "rate"), FORMATS)
def test_torchcodec_and_pyav_give_the_same_samples(container, codec, rate):
    data = sound_bytes(rate=rate, codec=codec, container=container)
    one, one_rate = samples_by_torchcodec(data, 10.0, POLICY)
    other, other_rate = samples_by_pyav(data, 10.0, POLICY)
    assert one_rate == other_rate == rate
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=1e-2)


def test_only_the_first_seconds_are_kept(backend):
    data = sound_bytes(3.0)
    decoded = decode_audio(data, DecodeBudget(max_audio_s=0.5), POLICY)
    whole = decode_audio(data, BUDGET, POLICY)
    assert decoded.samples.shape == (8_000,)
    np.testing.assert_allclose(decoded.samples[:7_900], whole.samples[:7_900], atol=1e-3)


def test_sound_longer_than_the_policy_is_refused(backend):
    with pytest.raises(MediaTooLarge, match="it lasts 2 s, the policy allows 1 s"):
        decode_audio(sound_bytes(2.0), BUDGET, MediaPolicy(max_media_s=1))


@pytest.mark.parametrize("data", [b"text", b"RIFF\0\0\0\0WAVE", b"ID3" + bytes(50), bytes(1_000)])
def test_bytes_that_are_no_sound_are_unreadable(data, backend):
    with pytest.raises(MediaUnreadable):
        decode_audio(data, BUDGET, POLICY)


def test_clip_without_sound_says_so(backend):
    with pytest.raises(MediaUnreadable, match="no sound"):
        decode_audio(clip_bytes(4), BUDGET, POLICY)


@pytest.mark.usefixtures("torchcodec_loads")
def test_decoder_object_gives_what_its_file_gives():
    from torchcodec.decoders import AudioDecoder  # type: ignore[attr-defined]

    data = sound_bytes()
    given = audio_from_decoder(AudioDecoder(data), BUDGET, POLICY)
    np.testing.assert_array_equal(given.samples, decode_audio(data, BUDGET, POLICY).samples)


# ---------------------------------------------------------------- arrays


def samples_of(array, rate=16_000, **options):
    return audio_from_array(array, rate, BUDGET, MediaPolicy(**options)).samples


def test_floats_at_the_models_rate_are_kept():
    array = np.linspace(-1, 1, 100, dtype=np.float32)
    np.testing.assert_array_equal(samples_of(array), array)
    np.testing.assert_array_equal(samples_of(array, rate=None), array)


def test_channels_come_first_and_are_averaged():
    array = np.stack([np.full(10, 0.5), np.full(10, -0.25)])
    assert samples_of(array).tolist() == [0.125] * 10


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.int8, [0, 64, -128]),
        (np.uint8, [128, 192, 0]),
        (np.int16, [0, 16_384, -32_768]),
        (np.uint16, [32_768, 49_152, 0]),
        (np.int32, [0, 2**30, -(2**31)]),
    ],
)
def test_integers_are_scaled_by_their_range(dtype, values):
    assert samples_of(np.array(values, dtype)).tolist() == [0.0, 0.5, -1.0]


def test_other_rates_are_resampled():
    tone = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)
    samples = samples_of(tone, rate=48_000)
    assert samples.shape == (16_000,)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(samples[500:-500], expected[500:-500], atol=1e-3)


def test_torch_tensor_is_read():
    import torch

    assert samples_of(torch.full((2, 5), 0.5)).tolist() == [0.5] * 5


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(0), "empty"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.zeros(5, np.int64), "int64 have no known range"),
        (np.zeros(5, bool), "bool have no known range"),
        (np.zeros((100, 2)), "transpose"),
        (np.zeros((2, 2, 2)), "expected 1 or 2 dimensions"),
    ],
)
def test_array_that_is_no_sound_says_why(array, message):
    with pytest.raises(MediaUnreadable, match=message):
        samples_of(array)


def test_array_longer_than_the_policy_is_refused():
    with pytest.raises(MediaTooLarge, match="it lasts 2 s"):
        samples_of(np.zeros(32_000), max_media_s=1)


# ---------------------------------------------------------------- odd and lying files


def wav(samples=None, *, kind=1, channels=1, rate=16_000, bits=16, claimed_bytes=None):
    """A WAV file with the header as told; 0.1 s of silence where no samples are given."""
    data = bytes(3_200) if samples is None else samples.tobytes()
    block = channels * bits // 8
    claimed = len(data) if claimed_bytes is None else claimed_bytes
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * block % 2**32, block, bits)
    riff = struct.pack("<I", min(36 + claimed, 2**32 - 1))
    return (
        b"RIFF" + riff + b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", claimed) + data
    )


@pytest.mark.parametrize(
    ("rate", "num_samples", "expected"),
    [(7_999, 7_999, 16_000), (192_000, 192_000, 16_000), (100, 100, 16_000), (16_000, 1, 1)],
)
def test_odd_rates_and_a_single_sample_are_heard(rate, num_samples, expected, backend):
    data = wav(np.zeros(num_samples, np.int16), rate=rate)
    assert decode_audio(data, BUDGET, POLICY).samples.shape == (expected,)


def test_twelve_channels_are_mixed(backend):
    samples = np.zeros((1_600, 12), np.int16)
    samples[:, 0] = 12_000
    decoded = decode_audio(wav(samples, channels=12), BUDGET, POLICY)
    assert decoded.samples[800] == pytest.approx(1_000 / 32_768, abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_float_file_with_nan_or_infinity_says_so(value, backend):
    samples = np.full((1_600, 2), value, np.float32)
    with pytest.raises(MediaUnreadable, match="NaN or infinite"):
        decode_audio(wav(samples, kind=3, channels=2, bits=32), BUDGET, POLICY)


@pytest.mark.parametrize("rate", [1, 99, 4_000_000, 2_000_000_000])
def test_rate_that_no_sound_has_is_refused(rate, backend):
    with pytest.raises(MediaUnreadable, match=r"sampling rate of|no sound that can be decoded"):
        decode_audio(wav(np.zeros(1_600, np.int16), rate=rate), BUDGET, POLICY)


@pytest.mark.parametrize("rate", [0, -5, 1e12, float("nan"), "16000", True])
def test_array_with_a_rate_that_no_sound_has_is_refused(rate):
    with pytest.raises(MediaUnreadable, match="rate"):
        samples_of(np.zeros(100, np.float32), rate=rate)


@pytest.mark.parametrize("claimed_bytes", [2**31 - 1, 2**32 - 1])
def test_header_that_claims_gigabytes_gives_the_samples_that_are_there(claimed_bytes, backend):
    decoded = decode_audio(wav(claimed_bytes=claimed_bytes), BUDGET, POLICY)
    assert decoded.samples.shape == (1_600,)
    assert decoded.cut_s == 0.0


def test_sound_track_of_no_samples_says_so(backend):
    with pytest.raises(MediaUnreadable, match=r"without samples|no samples"):
        decode_audio(wav(np.zeros(0, np.int16)), BUDGET, POLICY)


@pytest.mark.parametrize(("container", "codec", "rate"), FORMATS)
def test_seconds_behind_the_cut_are_counted(container, codec, rate, backend):
    data = sound_bytes(5.0, rate=rate, codec=codec, container=container)
    decoded = decode_audio(data, DecodeBudget(max_audio_s=2.0), POLICY)
    assert decoded.samples.shape == (32_000,)
    # ADTS has no header: its length is a guess from its bit rate.
    assert decoded.cut_s == pytest.approx(3.0, abs=1.5 if container == "adts" else 0.1)
    assert decode_audio(data, BUDGET, POLICY).cut_s == 0.0


def test_seconds_behind_the_cut_of_an_array_are_counted():
    array = np.zeros(16_000 * 13, np.float32)
    decoded = audio_from_array(array, 16_000, BUDGET, POLICY)
    assert decoded.cut_s == pytest.approx(3.0)
    assert audio_from_array(array[: 16_000 * 10], 16_000, BUDGET, POLICY).cut_s == 0.0


def test_no_more_than_the_kept_seconds_of_an_array_are_converted():
    array = np.broadcast_to(np.int16(1), (30, 16_000 * 1_800))  # 3.4 GB as float, were it whole
    decoded = audio_from_array(array, 16_000, BUDGET, POLICY)
    assert decoded.samples.shape == (160_000,)
    assert decoded.cut_s == pytest.approx(1_790)


def test_sound_that_fills_too_much_memory_is_refused(backend):
    with pytest.raises(MediaTooLarge, match=r"MediaPolicy\(max_decoded_bytes="):
        decode_audio(sound_bytes(2.0), BUDGET, MediaPolicy(max_decoded_bytes=100_000))
