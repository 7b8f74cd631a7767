"""Ordinary sentences that are not about the world: easy negatives, and words for the tokenizer."""

from __future__ import annotations

import numpy as np

__all__ = ["WORDS", "make_sentence"]


def _words(text: str) -> list[str]:
    """Split a block of words."""
    return text.split()


_PEOPLE = _words(
    """
    teacher doctor farmer driver student nurse engineer writer baker sailor lawyer artist pilot cook
    singer child mother father friend neighbour customer manager visitor player company school
    hospital team city government family museum library factory bank court army station
    """
)
_THINGS = _words(
    """
    house garden letter book car train bread table chair window door road river mountain forest
    field horse dog cat bird fish tree flower apple coffee tea water milk paper computer phone
    camera engine bridge market ticket map report price contract invoice law story song lesson game
    film newspaper machine medicine shirt coat shoe knife plate bottle bag box key lamp clock bed
    kitchen roof wall island beach storm snow rain sun moon winter summer
    """
)
_VERBS = _words(
    """
    buys sells finds loses builds repairs paints opens closes carries sends reads writes watches
    cleans visits teaches learns studies remembers forgets orders pays keeps breaks checks moves
    follows leaves enters describes explains designs owns wants needs likes calls helps answers
    plans cooks washes brings takes gives makes
    """
)
_ADJECTIVES = _words(
    """
    old new large small long short good bad fast slow cheap expensive quiet heavy light warm cold
    clean dirty early late strong weak simple difficult important public private local foreign
    famous busy empty full happy sad young dry wet sweet fresh modern ancient
    """
)
_PLACES = [
    "in the city", "at the station", "near the river", "behind the school", "on the mountain",
    "across the street", "at home", "in the office", "by the sea", "under the bridge",
    "in the village", "at the airport", "in the north", "outside the hospital",
]  # fmt: skip
_TIMES = [
    "every morning", "last year", "next week", "on Monday", "in the evening", "before lunch",
    "after work", "since 2019", "at noon", "in January", "twice a month", "during the winter",
    "yesterday", "tomorrow",
]  # fmt: skip
_QUESTIONS = (
    "what is the {j} {t}", "how does the {p} {v2} the {t}", "where is the {j} {t} {place}",
    "who {v} the {t} {time}", "why is the {t} so {j}", "how much does a {t} cost",
    "when was the {j} {t} built", "what is the price of the {t}", "how many {t}s are there",
)  # fmt: skip
_STATEMENTS = (
    "the {p} {v} the {j} {t}", "the {j} {p} {v} a {t} {place}", "{time} the {p} {v} the {t}",
    "a {j} {t} {place}", "our {p} never {v} the {t}", "the {t} is {j} and {j2} {time}",
    "The {p} {v} a {j} {t} {time}.", "There is a {j} {t} {place}.", "photo of the {j} {t} {place}",
    "music played by the {p} {place}", "revenue of the {p} grew by {n} percent {time}",
    "{n} people came to the {j} {t} {place}", "a video of the {p} {place}",
    "recording of a {j} {t}",
)  # fmt: skip
_SMALL = _words(
    """
    the of and to in is was for on that with as by at from are this be or an it not have has had
    they you we he she his her their which were been would there can all will one more some than
    when who what how why where about into over after only other its also two three four five six
    seven eight nine ten time year people way day man woman thing life world hand part place week
    case point number group problem fact many most first last very much between because through
    while should could each against under during without before both few those own same such too any
    then our out up down left right query document image picture audio sound video clip text page
    search result best find show tell me my your please user assistant system
    """
)
WORDS = sorted({*_PEOPLE, *_THINGS, *_VERBS, *_ADJECTIVES, *_SMALL})


def make_sentence(rng: np.random.Generator) -> str:
    """Make one ordinary sentence or question."""
    frames = _QUESTIONS if rng.random() < 0.35 else _STATEMENTS

    def pick(options: list[str]) -> str:
        return options[int(rng.integers(len(options)))]

    verb = pick(_VERBS)
    return frames[int(rng.integers(len(frames)))].format(
        p=pick(_PEOPLE), t=pick(_THINGS), v=verb, v2=verb.removesuffix("s"), j=pick(_ADJECTIVES),
        j2=pick(_ADJECTIVES), place=pick(_PLACES), time=pick(_TIMES), n=int(rng.integers(2, 99)),
    )  # fmt: skip
