"""A store of generated media to draw training batches from, made once in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from .batches import Media
from .draw import draw_change, draw_clip, draw_picture
from .photos import draw_unrelated
from .sounds import make_sound, make_unrelated_sound
from .world import Kind, Scene, all_scenes, is_held_out

__all__ = ["Bank", "BankSize", "make_bank"]


@dataclass(frozen=True, slots=True)
class BankSize:
    """How many media of each sort to make; the first three are for each scene."""

    pictures: int = 110
    clips: int = 60
    sounds: int = 900
    unrelated_pictures: int = 3000
    unrelated_sounds: int = 3000
    changes: int = 2000

    def scaled(self, share: float) -> BankSize:
        """Return a bank of that share of the size, for quick runs."""
        return BankSize(*(max(2, int(getattr(self, name) * share)) for name in self.__slots__))


@dataclass(slots=True)
class Bank:
    """Media by what they show."""

    by_scene: dict[Scene, list[Media]] = field(default_factory=dict)
    unrelated_pictures: list[Media] = field(default_factory=list)
    unrelated_sounds: list[Media] = field(default_factory=list)
    changes: list[tuple[Scene, Scene, Media]] = field(default_factory=list)

    scene_of: dict[int, Scene] = field(default_factory=dict)

    def scenes(self, kind: Kind) -> list[Scene]:
        """List the scenes of a kind that the bank holds."""
        return [scene for scene in self.by_scene if scene.kind == kind]

    def pick(self, scene: Scene, rng: np.random.Generator) -> Media:
        """Draw one medium that shows the scene."""
        media = self.by_scene[scene]
        return media[int(rng.integers(len(media)))]


Task = tuple[str, Scene | tuple[Scene, Scene] | None, tuple[int, ...]]


def render(scene: Scene, rng: np.random.Generator) -> Media:
    """Make one medium of a scene."""
    if scene.kind == "picture":
        return Media.from_frames(draw_picture(scene, rng)[None])
    if scene.kind == "clip":
        return Media.from_frames(draw_clip(scene, rng))
    return Media.from_samples(make_sound(scene, rng))


def _work(task: Task) -> Media:
    sort, what, seed = task
    rng = np.random.default_rng(seed)
    if isinstance(what, Scene):
        return render(what, rng)
    if isinstance(what, tuple):
        return Media.from_frames(draw_change(*what, rng))
    if sort == "unrelated_pictures":
        return Media.from_frames(draw_unrelated(rng)[None])
    return Media.from_samples(make_unrelated_sound(rng))


def _tasks(size: BankSize, seed: int) -> list[Task]:
    tasks: list[Task] = []
    counts: dict[Kind, int] = {"picture": size.pictures, "clip": size.clips, "sound": size.sounds}
    for kind, count in counts.items():
        for scene in all_scenes(kind, held_out=False):
            tasks += [("scene", scene, (seed, len(tasks) + i)) for i in range(count)]
    for sort in ("unrelated_pictures", "unrelated_sounds"):
        tasks += [(sort, None, (seed, len(tasks) + i)) for i in range(getattr(size, sort))]
    rng = np.random.default_rng(seed)
    still = [scene for scene in all_scenes("clip", held_out=False) if scene["motion"] == "still"]
    while len(tasks) and size.changes > sum(
        task[0] == "changes" for task in tasks[-size.changes :]
    ):
        first, second = (still[int(i)] for i in rng.integers(0, len(still), 2))
        if first != second:
            tasks.append(("changes", (first, second), (seed, len(tasks))))
    assert not any(isinstance(t[1], Scene) and is_held_out(t[1]) for t in tasks)
    return tasks


def make_bank(path: Path, size: BankSize, *, seed: int = 0, num_workers: int = 2) -> Bank:
    """Load the bank from `path`, or make it and keep it there."""
    if path.exists():
        with path.open("rb") as file:
            return _fill(*pickle.load(file))
    tasks = _tasks(size, seed)
    with multiprocessing.get_context("fork").Pool(num_workers, _one_thread) as pool:
        media = pool.map(_work, tasks, chunksize=64)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump((tasks, media), file, protocol=5)
    return _fill(tasks, media)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def _fill(tasks: Sequence[Task], media: Sequence[Media]) -> Bank:
    bank = Bank()
    for (sort, what, _), one in zip(tasks, media, strict=True):
        if isinstance(what, Scene):
            bank.by_scene.setdefault(what, []).append(one)
            bank.scene_of[id(one)] = what
        elif isinstance(what, tuple):
            bank.changes.append((*what, one))
        elif sort == "unrelated_pictures":
            bank.unrelated_pictures.append(one)
        else:
            bank.unrelated_sounds.append(one)
    return bank
