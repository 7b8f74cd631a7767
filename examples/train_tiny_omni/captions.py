"""Plain English for scenes: many ways to name any subset of a scene's attributes."""

from __future__ import annotations

import numpy as np

from .world import ATTRIBUTES, Scene, held_out_values

__all__ = ["describe", "describe_change", "every_caption_word", "words_never_said"]

_SHAPE_FRAMES = (
    "{a}", "{a}", "{a}", "{a}", "the {x}", "{x}", "one {x}", "there is {a}", "this is {a}",
    "show me {a}", "find {a}", "{a} is shown", "we see {a}", "it shows {a}", "look for {a}",
)  # fmt: skip
_PICTURE_FRAMES = ("a picture of {a}", "an image of {a}", "a drawing of {a}", "a photo of {a}",
                   "picture with {a}", "image showing {a}")  # fmt: skip
_CLIP_FRAMES = ("a video of {a}", "a clip of {a}", "clip showing {a}", "the video shows {a}",
                "a film of {a}")  # fmt: skip
_SOUND_FRAMES = (
    "{a}", "{a}", "{a}", "{x}", "the sound of {a}", "a recording of {a}", "we hear {a}",
    "it plays {a}", "find {a}", "listen to {a}", "there is {a}", "audio of {a}",
)  # fmt: skip
_BACKGROUND_TAILS = ("on a {b} background", "on {b}", "in front of a {b} background",
                     "over a {b} backdrop", "with {b} behind it", "on {b} paper")  # fmt: skip
_MOVES = {
    "left": ("moving left", "moving to the left", "sliding left", "that moves left", "going left"),
    "right": ("moving right", "moving to the right", "sliding right", "that moves right",
              "going right"),
    "up": ("moving up", "moving upwards", "rising up", "that moves up", "going up"),
    "down": ("moving down", "moving downwards", "falling down", "that moves down", "going down"),
    "still": ("standing still", "that does not move", "not moving", "that stays still",
              "staying in place"),
}  # fmt: skip
_PITCH_WORDS = {
    "low": ("low", "low", "low-pitched", "deep"),
    "high": ("high", "high", "high-pitched"),
}
_TIMBRE_WORDS = {
    "soft": ("soft", "soft", "smooth", "pure"),
    "buzzing": ("buzzing", "buzzing", "buzzy"),
    "noisy": ("noisy", "noisy", "hissing"),
}
_NOUNS = ("tone", "tone", "tone", "beep", "note")
_LOOSE_WORDS = ("then turns into followed by first and of any colour something anything coloured",
                "painted that is in object thing shape sound audio")  # fmt: skip
_COUNT_WORDS = {"one": ("one", "a single"), "two": ("two", "a pair of"), "three": ("three",)}


def describe(scene: Scene, named: frozenset[str], rng: np.random.Generator) -> str:
    """Say the named attributes of the scene, and nothing else that could be wrong.

    One exception: a sound of one tone may be called "a tone" although its count is not named.
    """
    if scene.kind == "sound":
        return _describe_sound(scene, named, rng)
    phrase = _thing(scene, named, rng)
    frames = list(_SHAPE_FRAMES)
    if scene.kind == "picture" and rng.random() < 0.25:
        frames = list(_PICTURE_FRAMES)
    if scene.kind == "clip" and ("motion" in named or rng.random() < 0.3) and rng.random() < 0.3:
        frames = list(_CLIP_FRAMES)
    return _framed(_pick(frames, rng), phrase)


def describe_change(first: Scene, second: Scene, rng: np.random.Generator) -> str:
    """Say what a clip shows first and what it shows afterwards."""
    named = frozenset({"colour", "shape"})
    one, two = (_with_article(_thing(scene, named, rng)) for scene in (first, second))
    frames = ("{one}, then {two}", "{one} and then {two}", "first {one}, then {two}",
              "{one} followed by {two}", "{one} turns into {two}")  # fmt: skip
    return _pick(frames, rng).format(one=one, two=two)


def words_never_said(scene: Scene) -> tuple[str, ...]:
    """List the words that would make a description of the scene a held-out one."""
    words: list[str] = []
    for name in ATTRIBUTES[scene.kind]:
        for value in held_out_values(scene, name):
            ways = {**_PITCH_WORDS, **_TIMBRE_WORDS, **_COUNT_WORDS}.get(value, (value,))
            parts = [part.split("-")[0] for way in ways for part in way.split()]
            words += [part for part in parts if part not in ("a", "of")]
    return tuple(words)


def every_caption_word() -> list[str]:
    """List the words that must be single tokens."""
    words = {
        value for names in ATTRIBUTES.values() for values in names.values() for value in values
    }
    frames = (*_SHAPE_FRAMES, *_PICTURE_FRAMES, *_CLIP_FRAMES, *_SOUND_FRAMES, *_BACKGROUND_TAILS)
    ways = (*_MOVES.values(), *_PITCH_WORDS.values(), *_TIMBRE_WORDS.values())
    for text in (*frames, *_LOOSE_WORDS, *(way for group in ways for way in group)):
        words.update(word for word in text.split() if word.isalpha())
    words.update(f"{noun}s" for noun in (*_NOUNS, "sound"))
    return sorted(words | {"yes", "no", "a", "an", *_NOUNS, "single", "pair"})


def _thing(scene: Scene, named: frozenset[str], rng: np.random.Generator) -> str:
    """Name colour, shape, background and motion as far as asked; no article in front."""
    colour = scene["colour"] if "colour" in named else ""
    motion = ""
    if "motion" in named:
        motion = _pick(_MOVES[scene["motion"]], rng)
    if "shape" in named:
        core = _coloured_shape(colour, scene["shape"], rng)
        if motion and scene["motion"] == "still" and rng.random() < 0.3:
            core, motion = f"still {core}", ""
    elif colour:
        core = _pick((f"something {colour}", f"{colour} shape", f"{colour} thing",
                      f"{colour} object", f"anything {colour}"), rng)  # fmt: skip
    else:
        core = _pick(("something", "shape", "thing", "object"), rng)
    tail = ""
    if "background" in named:
        tail = _pick(_BACKGROUND_TAILS, rng).format(b=scene["background"])
    return " ".join(part for part in (core, motion, tail) if part)


def _coloured_shape(colour: str, shape: str, rng: np.random.Generator) -> str:
    if not colour:
        return f"{shape} of any colour" if rng.random() < 0.05 else shape
    if rng.random() < 0.75:
        return f"{colour} {shape}"
    return _pick((f"{shape} in {colour}", f"{shape} that is {colour}", f"{shape} coloured {colour}",
                  f"{colour} coloured {shape}", f"{shape} painted {colour}"), rng)  # fmt: skip


def _describe_sound(scene: Scene, named: frozenset[str], rng: np.random.Generator) -> str:
    adjectives = []
    if "pitch" in named:
        adjectives.append(_pick(_PITCH_WORDS[scene["pitch"]], rng))
    if "timbre" in named:
        adjectives.append(_pick(_TIMBRE_WORDS[scene["timbre"]], rng))
    if rng.random() < 0.25:
        adjectives.reverse()
    noun = _pick(_NOUNS, rng)
    if "count" in named:
        if scene["count"] != "one":
            noun += "s"
        words = [_pick(_COUNT_WORDS[scene["count"]], rng), *adjectives, noun]
        return _framed(_pick(_SOUND_FRAMES, rng), " ".join(words), article=False)
    if scene["count"] != "one" or rng.random() < 0.5:
        noun = "sound"
    return _framed(_pick(_SOUND_FRAMES, rng), " ".join([*adjectives, noun]))


def _framed(frame: str, phrase: str, *, article: bool = True) -> str:
    bare = not article or phrase.startswith(("something", "anything"))
    if bare and frame.startswith(("the {x}", "one {x}")):
        frame = "{a}"
    return frame.format(x=phrase, a=phrase if bare else _with_article(phrase))


def _with_article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"


def _pick(options: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
