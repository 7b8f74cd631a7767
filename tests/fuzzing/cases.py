"""One case: which file, which damage, which seed. The same case is the same bytes, always."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from mmrerank.inputs.sniff import HEAD_BYTES, sniff_format
from mmrerank.types import Audio, DecodeBudget, Document, Image, Text, Video
from tests.fuzzing.clips import CLIPS
from tests.fuzzing.crafted import CRAFTED
from tests.fuzzing.lies import LIES
from tests.fuzzing.mutations import MUTATIONS
from tests.fuzzing.pictures import PICTURES
from tests.fuzzing.sounds import SOUNDS

__all__ = ["Case", "budget_of", "bytes_of", "damaged_cases", "document_of", "fixtures"]

Part: TypeAlias = Image | Audio | Video
FIXTURES = Path(__file__).parents[2] / "fixtures" / "media"
_WRAPS: dict[str, type[Part]] = {
    **dict.fromkeys((".jpg", ".png", ".gif", ".pdf"), Image),
    **dict.fromkeys((".wav", ".flac", ".mp3", ".ogg"), Audio),
    **dict.fromkeys((".mp4", ".webm"), Video),
}
_LIE_SHARE = 0.4
_BUDGETS = (
    DecodeBudget(),
    DecodeBudget(fast=True, max_image_pixels=64, max_frame_pixels=256),
    DecodeBudget(sound_of_video=True, transparency="black", max_audio_s=0.05),
    DecodeBudget(fps=4.0, max_frames=4, transparency="drop", sampling_rate_hz=8_000),
)


@dataclass(frozen=True, slots=True)
class Case:
    """mutation: a key of MUTATIONS, "lie", "none" (healthy), or "crafted" (a key of CRAFTED)."""

    fixture: str
    mutation: str
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.fixture}:{self.mutation}:{self.seed}"

    @classmethod
    def read(cls, text: str) -> Case:
        """The case of that name, as `str` writes it."""
        fixture, mutation, seed = text.rsplit(":", 2)
        return cls(fixture, mutation, int(seed))

    def chance(self, purpose: str) -> Random:
        """Random numbers of this case alone; two purposes do not disturb each other."""
        return Random(f"{self} {purpose}")


@dataclass(frozen=True, slots=True)
class Fixture:
    """A healthy file, as which part it is handed in, and the format of its first bytes."""

    wrap: type[Part]
    make: Callable[[], bytes]

    @property
    def format(self) -> str:
        """As `sniff_format` calls it."""
        return sniff_format(self.make()[:HEAD_BYTES]) or ""


@functools.cache
def fixtures() -> dict[str, Fixture]:
    """Every healthy file by name: those of fixtures/media and those made here."""
    found = {
        path.name: Fixture(_WRAPS[path.suffix], functools.cache(path.read_bytes))
        for path in sorted(FIXTURES.iterdir())
        if path.suffix in _WRAPS
    }
    made: tuple[tuple[type[Part], dict[str, Callable[[], bytes]]], ...] = (
        (Image, PICTURES),
        (Audio, SOUNDS),
        (Video, CLIPS),
    )
    for wrap, kinds in made:
        found |= {name: Fixture(wrap, functools.cache(make)) for name, make in kinds.items()}
    return found


def damaged_cases(start: int = 0) -> Iterator[Case]:
    """Endless: each round gives one case of every fixture, `start` is the first round."""
    for seed in itertools.count(start):
        for name, fixture in fixtures().items():
            chance = Random(f"{name} {seed}")
            is_lie = fixture.format in LIES and chance.random() < _LIE_SHARE
            yield Case(name, "lie" if is_lie else chance.choice(list(MUTATIONS)), seed)


def bytes_of(case: Case) -> bytes:
    """The bytes of a case's file."""
    if case.mutation == "crafted":
        return CRAFTED[case.fixture].make()
    fixture, chance = fixtures()[case.fixture], case.chance("damage")
    data = fixture.make()
    if case.mutation == "none":
        return data
    if case.mutation == "lie":
        return LIES[fixture.format](data, chance)
    other = fixtures()[chance.choice(list(fixtures()))].make()
    return MUTATIONS[case.mutation](data, chance, other)


def document_of(case: Case, folder: Path) -> Document | Any:
    """The object that is handed in: the file as it is mostly given, now and then in other ways.

    folder: where a case that is given by its path is written to.
    """
    data, chance = bytes_of(case), case.chance("form")
    if case.mutation == "crafted":
        crafted = CRAFTED[case.fixture]
        return Document((_part(crafted.wrap, data, crafted.page),))
    wrap = fixtures()[case.fixture].wrap
    if case.mutation != "none" and chance.random() < 0.1:
        wrap = chance.choice((Image, Audio, Video))
    page = 1 if fixtures()[case.fixture].format == "pdf" and wrap is Image else None
    return Document((Text("a text beside it"), _part(wrap, _source(data, chance, folder), page)))


def _part(wrap: type[Part], source: Any, page: int | None) -> Part:
    return Image(source, page=page) if wrap is Image else wrap(source)


def _source(data: bytes, chance: Random, folder: Path) -> Any:
    form = chance.random()
    if form < 0.85 or not data:
        return data
    if form < 0.9:
        return io.BytesIO(data)
    path = folder / "case.bin"
    path.write_bytes(data)
    return path


def budget_of(case: Case) -> DecodeBudget:
    """What the model is said to want: the default mostly, and every switch now and then."""
    if case.mutation in ("crafted", "none"):
        return _BUDGETS[0]
    return case.chance("budget").choice((_BUDGETS[0], *_BUDGETS))
