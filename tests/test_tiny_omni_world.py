"""The generated world of tiny-omni: what is held out stays out, and negatives are hard."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Literal

import numpy as np
import pytest

from examples.train_tiny_omni.bank import Bank
from examples.train_tiny_omni.batches import Media
from examples.train_tiny_omni.captions import describe, words_never_said
from examples.train_tiny_omni.draw import draw_clip, draw_picture
from examples.train_tiny_omni.pairs import PairMaker
from examples.train_tiny_omni.sounds import SAMPLING_RATE_HZ, make_sound
from examples.train_tiny_omni.world import (
    ATTRIBUTES,
    HELD_OUT_SHAPES,
    Kind,
    Scene,
    all_scenes,
    hard_negative,
    held_out_values,
    is_held_out,
    random_named,
)

KINDS: tuple[Kind, ...] = ("picture", "clip", "sound")

Array = np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.float32]]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def tiny_bank() -> Bank:
    """A bank with one blank medium for each training scene: texts are what is tested."""
    blank: dict[Kind, Array] = {
        "picture": np.zeros((1, 3, 64, 64), np.uint8),
        "clip": np.zeros((4, 3, 64, 64), np.uint8),
        "sound": np.zeros((80, 40), np.float32),
    }
    sorts: dict[Kind, Literal["image", "video", "audio"]] = {
        "picture": "image",
        "clip": "video",
        "sound": "audio",
    }
    bank = Bank()
    for kind in KINDS:
        for scene in all_scenes(kind, held_out=False):
            bank.by_scene[scene] = [Media(sorts[kind], blank[kind])]
    bank.unrelated_pictures = [Media("image", blank["picture"])]
    bank.unrelated_sounds = [Media("audio", blank["sound"])]
    clips = all_scenes("clip", held_out=False)
    bank.changes = [(clips[0], clips[9], Media("video", blank["clip"]))]
    return bank


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_and_training_scenes_are_apart_and_about_one_in_eight(kind):
    kept, used = all_scenes(kind, held_out=True), all_scenes(kind, held_out=False)
    assert not set(kept) & set(used)
    assert 0.1 < len(kept) / (len(kept) + len(used)) < 0.2


def test_every_word_of_a_held_out_scene_is_seen_in_training():
    for kind in KINDS:
        seen = {value for scene in all_scenes(kind, held_out=False) for value in scene.values}
        assert {
            value for scene in all_scenes(kind, held_out=True) for value in scene.values
        } <= seen


@pytest.mark.parametrize("kind", KINDS)
def test_hard_negative_differs_in_exactly_one_named_attribute(kind, rng):
    for scene in all_scenes(kind, held_out=True):
        for size in (1, 2, 3):
            for named in combinations(ATTRIBUTES[kind], size):
                other = hard_negative(scene, frozenset(named), rng)
                assert sum(scene[name] != other[name] for name in named) == 1
                assert not is_held_out(other)


def test_negative_keeps_what_is_not_named_when_a_neighbour_is_free(rng):
    scene = Scene("picture", ("red", "square", "grey"))
    other = hard_negative(scene, frozenset({"shape"}), rng)
    assert (other["colour"], other["background"]) == ("red", "grey")


def test_losses_leave_out_what_only_held_out_scenes_would_say():
    scene = Scene("picture", ("red", "square", "grey"))
    assert held_out_values(scene, "shape") == ["circle"]
    assert held_out_values(scene, "background") == []
    assert words_never_said(scene) == ("blue", "circle")


def test_training_texts_never_name_a_held_out_coloured_shape(tiny_bank, rng):
    maker = PairMaker(tiny_bank, rng)
    sorts = ["text"] * 1500
    for kind in KINDS:
        sorts += [f"text>{kind}", f"{kind}>text"] * 150
    pairs = [maker.draw(sort) for sort in sorts]
    texts = [
        part
        for pair in pairs
        for row in pair
        for part in (row.query, *row.document)
        if isinstance(part, str)
    ]
    assert len(texts) > 3000
    for colour, shape in HELD_OUT_SHAPES:
        # Two things in one text ("a red ring, then a blue circle") name two coloured shapes.
        near = re.compile(rf"\b{colour} (coloured )?{shape}\b|\b{shape} \S+ (is )?{colour}\b")
        assert not [text for text in texts if near.search(text)]


def test_training_pairs_put_the_matching_row_first(tiny_bank, rng):
    maker = PairMaker(tiny_bank, rng)
    for first, second in (maker.draw("text>picture") for _ in range(200)):
        assert (first.label, second.label) == (1.0, 0.0)
        assert first.query == second.query


def test_description_says_each_named_value_and_no_other_colour(rng):
    scene = Scene("picture", ("orange", "star", "teal"))
    for _ in range(200):
        text = describe(scene, frozenset({"colour", "shape", "background"}), rng)
        assert {"orange", "star", "teal"} <= set(text.split())
        assert not set(text.split()) & (set(ATTRIBUTES["picture"]["colour"]) - {"orange"})


def test_description_of_one_attribute_is_silent_about_the_others(rng):
    scene = Scene("sound", ("high", "buzzing", "two"))
    for _ in range(200):
        words = set(describe(scene, frozenset({"pitch"}), rng).split())
        assert not words & {"buzzing", "buzzy", "two", "pair", "tones", "beeps", "notes"}


def test_article_fits_the_next_word(rng):
    for scene in all_scenes("picture", held_out=False):
        text = f" {describe(scene, random_named('picture', rng), rng)} "
        assert " a orange" not in text
        assert " an red" not in text


@pytest.mark.parametrize(("pitch", "low_hz", "high_hz"), [("low", 0, 350), ("high", 700, 8000)])
def test_strongest_frequency_of_a_tone_lies_in_its_pitch(pitch, low_hz, high_hz, rng):
    for timbre in ATTRIBUTES["sound"]["timbre"]:
        for count in ATTRIBUTES["sound"]["count"]:
            samples = make_sound(Scene("sound", (pitch, timbre, count)), rng)
            spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
            peak_hz = spectrum.argmax() * SAMPLING_RATE_HZ / len(samples)
            assert low_hz < peak_hz < high_hz


@pytest.mark.parametrize(("count", "number"), [("one", 1), ("two", 2), ("three", 3)])
def test_sound_has_as_many_loud_stretches_as_its_count_says(count, number, rng):
    for _ in range(10):
        samples = make_sound(Scene("sound", ("high", "soft", count)), rng)
        frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
        is_loud = np.sqrt((frames**2).mean(1)) > 0.3 * np.abs(samples).max() / np.sqrt(2)
        assert int((np.diff(is_loud.astype(int), prepend=0) == 1).sum()) == number


def test_same_seed_makes_the_same_media():
    picture = Scene("picture", ("red", "ring", "teal"))
    clip = Scene("clip", ("red", "ring", "left"))
    sound = Scene("sound", ("low", "soft", "two"))
    for make, scene in ((draw_picture, picture), (draw_clip, clip), (make_sound, sound)):
        first, second = (make(scene, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_clip_that_moves_left_has_its_shape_further_left_at_the_end(rng):
    for _ in range(10):
        frames = draw_clip(Scene("clip", ("red", "square", "left")), rng).astype(int)
        redness = np.clip(frames[..., 0] - frames[..., 1:].max(-1) - 60, 0, None)
        columns = np.arange(frames.shape[2])
        first, last = ((frame.sum(0) * columns).sum() / frame.sum() for frame in redness[[0, -1]])
        assert last < first - 0.1 * frames.shape[2]
