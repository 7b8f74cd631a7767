"""The generated world: which scenes exist, which are held out, what a hard negative is.

Everything is a value: no pixels and no samples here (see draw.py and sounds.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

__all__ = [
    "ATTRIBUTES",
    "Kind",
    "Scene",
    "all_scenes",
    "hard_negative",
    "held_out_values",
    "is_held_out",
    "is_valid",
    "random_named",
]

Kind = Literal["picture", "clip", "sound"]

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "white")
SHAPES = ("circle", "square", "triangle", "ring", "cross", "star")
BACKGROUNDS = ("white", "grey", "pink", "brown", "teal")
MOTIONS = ("still", "left", "right", "up", "down")
PITCHES = ("low", "high")
TIMBRES = ("soft", "buzzing", "noisy")
COUNTS = ("one", "two", "three")

ATTRIBUTES: dict[Kind, dict[str, tuple[str, ...]]] = {
    "picture": {"colour": COLOURS, "shape": SHAPES, "background": BACKGROUNDS},
    "clip": {"colour": COLOURS, "shape": SHAPES, "motion": MOTIONS},
    "sound": {"pitch": PITCHES, "timbre": TIMBRES, "count": COUNTS},
}

# One in eight of the 48 coloured shapes: each shape once, no colour twice, so every word is seen.
HELD_OUT_SHAPES = frozenset(
    {
        ("red", "circle"),
        ("blue", "square"),
        ("yellow", "star"),
        ("green", "triangle"),
        ("purple", "ring"),
        ("black", "cross"),
    }
)
# Three of the 18 sounds: no two of them share more than one attribute.
HELD_OUT_SOUNDS = frozenset(
    {("high", "soft", "two"), ("low", "buzzing", "three"), ("low", "noisy", "one")}
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What one medium shows or sounds like; `values` follow the order of ATTRIBUTES[kind]."""

    kind: Kind
    values: tuple[str, ...]

    def __getitem__(self, name: str) -> str:
        return self.values[list(ATTRIBUTES[self.kind]).index(name)]

    def replaced(self, name: str, value: str) -> Scene:
        """Return this scene with one attribute set to `value`."""
        at = list(ATTRIBUTES[self.kind]).index(name)
        return Scene(self.kind, (*self.values[:at], value, *self.values[at + 1 :]))


def is_valid(scene: Scene) -> bool:
    """Tell whether the scene can be seen: a white shape on white paper can not."""
    return scene.kind != "picture" or scene["colour"] != scene["background"]


def is_held_out(scene: Scene) -> bool:
    """Tell whether the combination is kept for evaluation, as a medium and as a phrase."""
    if scene.kind == "sound":
        return scene.values in HELD_OUT_SOUNDS
    return (scene["colour"], scene["shape"]) in HELD_OUT_SHAPES


def held_out_values(scene: Scene, name: str) -> list[str]:
    """List the values of an attribute that would turn the scene into a held-out one.

    Training never shows them beside the scene's other values. Losses leave these answers out, or
    the model would learn from their absence: "what is red is no circle".
    """
    values = ATTRIBUTES[scene.kind][name]
    return [value for value in values if is_held_out(scene.replaced(name, value))]


def all_scenes(kind: Kind, *, held_out: bool) -> list[Scene]:
    """List the valid scenes of a kind: those kept for evaluation, or those used in training."""
    scenes = [Scene(kind, values) for values in product(*ATTRIBUTES[kind].values())]
    return [scene for scene in scenes if is_valid(scene) and is_held_out(scene) == held_out]


def random_named(kind: Kind, rng: np.random.Generator) -> frozenset[str]:
    """Draw which attributes a query names: any subset that is not empty, two or more preferred."""
    names = list(ATTRIBUTES[kind])
    weights = np.array([0.0, 0.25, 0.5, 0.25])
    if kind == "picture":
        # Backgrounds are named seldom, as people do.
        weights = np.array([0.0, 0.3, 0.7, 0.0])
        names = ["colour", "shape"] if rng.random() < 0.75 else names
        if len(names) == 3:
            weights = np.array([0.0, 0.15, 0.35, 0.5])
    num_named = int(rng.choice(4, p=weights))
    return frozenset(str(name) for name in rng.choice(names, size=num_named, replace=False))


def hard_negative(
    scene: Scene,
    named: frozenset[str],
    rng: np.random.Generator,
    *,
    allow_held_out: bool = False,
    num_changes: int = 1,
) -> Scene:
    """Change exactly `num_changes` of the named attributes; the others stay where possible.

    Held-out scenes are never returned unless allowed, so training does not see them. Where each
    neighbour is held out, an attribute that is not named is drawn anew.
    """
    ordered = sorted(named)
    for attempt in range(1000):
        changed = scene
        if attempt >= 20:
            for name in sorted(ATTRIBUTES[scene.kind].keys() - named):
                changed = changed.replaced(name, str(rng.choice(ATTRIBUTES[scene.kind][name])))
        for name in rng.choice(ordered, size=min(num_changes, len(ordered)), replace=False):
            others = [v for v in ATTRIBUTES[scene.kind][str(name)] if v != scene[str(name)]]
            changed = changed.replaced(str(name), str(rng.choice(others)))
        if is_valid(changed) and (allow_held_out or not is_held_out(changed)):
            return changed
    raise AssertionError(f"no neighbour of {scene} in {ordered}")
