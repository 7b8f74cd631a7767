"""What the model learns from: a query with one matching document and one that does not match."""

from __future__ import annotations

import numpy as np

from .bank import Bank
from .batches import Media, Part, Row
from .captions import describe, describe_change, words_never_said
from .english import make_sentence
from .world import ATTRIBUTES, Kind, Scene, hard_negative, random_named

__all__ = ["KINDS", "Pair", "PairMaker"]

KINDS: tuple[Kind, ...] = ("picture", "clip", "sound")
_FILLERS = ("see the attached file", "catalogue item", "new in our shop", "look at this",
            "from the archive", "item {n}", "page {n}", "unnamed file")  # fmt: skip
_INSTRUCTIONS = ("Find the document that matches the query.", "Rank by relevance.",
                 "Given a search query, retrieve relevant documents.",
                 "Judge whether the document answers the query.")  # fmt: skip

Pair = tuple[Row, Row]


class PairMaker:
    """Draws (matching, other) rows with one query from a bank of media."""

    def __init__(self, bank: Bank, rng: np.random.Generator) -> None:
        self.bank = bank
        self.rng = rng
        self.scenes = {kind: bank.scenes(kind) for kind in KINDS}
        self._seen = {scene for scenes in self.scenes.values() for scene in scenes}

    def draw(self, sort: str) -> Pair:
        """Draw a pair of "text", or of "query>document" with a kind of medium on one side."""
        if sort == "text":
            return self._sentence_pair() if self.rng.random() < 0.1 else self._text_pair()
        query, document = sort.split(">")
        for kind in KINDS:
            if kind == query:
                return self._media_query(kind)
            if kind == document:
                return self._media_documents(kind)
        raise AssertionError(f"no such sort: {sort}")

    def _scene(self, kind: Kind) -> Scene:
        scenes = self.scenes[kind]
        return scenes[int(self.rng.integers(len(scenes)))]

    def _negative(self, scene: Scene, named: frozenset[str]) -> Scene:
        num_changes = 2 if self.rng.random() < 0.15 else 1
        return hard_negative(scene, named, self.rng, num_changes=num_changes)

    def _named(self, kind: Kind) -> frozenset[str]:
        return random_named(kind, self.rng)

    def _rows(
        self,
        query: str | Media,
        matching: tuple[Part, ...],
        other: tuple[Part, ...],
        *,
        captioned: Scene | None = None,
    ) -> Pair:
        never = words_never_said(captioned) if captioned else ()
        instruction = ""
        if self.rng.random() < 0.05:
            instruction = _INSTRUCTIONS[int(self.rng.integers(len(_INSTRUCTIONS)))]
        seconds = 1.0 if self.rng.random() < 0.5 else float(np.exp(self.rng.uniform(-1.4, 2.3)))
        return (
            Row(query, matching, 1.0, instruction, seconds, captioned is not None, never),
            Row(query, other, 0.0, instruction, seconds),
        )

    def _text_pair(self) -> Pair:
        kind = KINDS[int(self.rng.choice(3, p=[0.35, 0.35, 0.3]))]
        scene, named = self._scene(kind), self._named(kind)
        more = named | (self._named(kind) if self.rng.random() < 0.5 else frozenset())
        query, matching = describe(scene, named, self.rng), describe(scene, more, self.rng)
        draw = self.rng.random()
        if draw < 0.68:
            other = describe(self._negative(scene, named), more, self.rng)
        elif draw < 0.80:
            other = self._far_text(scene)
        elif draw < 0.86 and len(named) > 1:
            # A document that leaves out what the query asks for is no match either.
            fewer = frozenset(self.rng.choice(sorted(named), len(named) - 1, replace=False))
            other = describe(scene, frozenset(map(str, fewer)), self.rng)
        else:
            other = self._easy_text(kind)
        return self._rows(query, (matching,), (other,))

    def _sentence_pair(self) -> Pair:
        """An ordinary sentence matches itself, its beginning or its end, and no other sentence."""
        sentence = make_sentence(self.rng)
        words = sentence.split()
        cut = int(self.rng.integers(0, max(1, len(words) - 3)))
        query = (
            " ".join(words[cut:])
            if self.rng.random() < 0.5
            else " ".join(words[: len(words) - cut])
        )
        return self._rows(query, (sentence,), (self._easy_text(None),))

    def _easy_text(self, kind: Kind | None) -> str:
        """Return a text from elsewhere: an ordinary sentence or another kind's description."""
        if kind is None or self.rng.random() < 0.5:
            return make_sentence(self.rng)
        far: tuple[Kind, ...] = ("picture", "clip") if kind == "sound" else ("sound",)
        other = far[int(self.rng.integers(len(far)))]
        return describe(self._scene(other), self._named(other), self.rng)

    def _far_scene(self, scene: Scene) -> Scene:
        """Return a scene of the same kind that shares no value with this one."""
        while True:
            other = self._scene(scene.kind)
            if not set(other.values) & set(scene.values):
                return other

    def _far_text(self, scene: Scene) -> str:
        """Describe something else altogether, as a picture or as a clip where both exist."""
        while scene.kind != "sound":
            kind: Kind = "picture" if self.rng.random() < 0.5 else "clip"
            other = self._scene(kind)
            if not set(other.values) & set(scene.values):
                return describe(other, self._named(kind) | {"colour", "shape"}, self.rng)
        return describe(self._far_scene(scene), self._named("sound") | {"pitch"}, self.rng)

    def _media_documents(self, kind: Kind) -> Pair:
        if kind == "clip" and self.rng.random() < 0.08:
            return self._change_pair()
        scene, named = self._scene(kind), self._named(kind)
        query = describe(scene, named, self.rng)
        matching = self._document(self.bank.pick(scene, self.rng), scene)
        draw = self.rng.random()
        if draw < 0.72:
            wrong = self._negative(scene, named) if draw < 0.64 else self._far_scene(scene)
            other = self._document(self.bank.pick(wrong, self.rng), wrong)
        else:
            other = self._easy_document(scene, named)
        return self._rows(query, matching, other)

    def _document(self, media: Media, scene: Scene) -> tuple[Part, ...]:
        """Wrap a medium as a document, now and then with a text that fits it or says nothing."""
        draw = self.rng.random()
        if draw > 0.08:
            return (media,)
        text = describe(scene, self._named(scene.kind), self.rng)
        if draw < 0.04:
            filler = _FILLERS[int(self.rng.integers(len(_FILLERS)))]
            text = filler.format(n=int(self.rng.integers(1, 99)))
        return (text, media) if self.rng.random() < 0.7 else (media, text)

    def _easy_document(self, scene: Scene, named: frozenset[str]) -> tuple[Part, ...]:
        draw = self.rng.random()
        picture_like = scene.kind != "sound"
        if picture_like and "motion" in named and scene["motion"] != "still" and draw < 0.35:
            return (self._same_but_still(scene),)
        if (draw < 0.65 and len(named) > 1) or not picture_like:
            pool = self.bank.unrelated_pictures if picture_like else self.bank.unrelated_sounds
            if draw < 0.5:
                return (pool[int(self.rng.integers(len(pool)))],)
        if draw < 0.85:
            far = self._scene("sound") if picture_like else self._scene("picture")
            return (self.bank.pick(far, self.rng),)
        if draw < 0.93 and not picture_like:
            return (self.bank.pick(self._scene("clip"), self.rng),)
        return (self._easy_text(scene.kind),)

    def _same_but_still(self, scene: Scene) -> Media:
        """Return a picture of the moving thing: it does not show the motion that was asked for."""
        backgrounds = [b for b in ATTRIBUTES["picture"]["background"] if b != scene["colour"]]
        background = backgrounds[int(self.rng.integers(len(backgrounds)))]
        picture = Scene("picture", (scene["colour"], scene["shape"], background))
        return self.bank.pick(picture, self.rng)

    def _change_pair(self) -> Pair:
        changes = self.bank.changes
        first, second, media = changes[int(self.rng.integers(len(changes)))]
        if self.rng.random() < 0.5:
            other = changes[int(self.rng.integers(len(changes)))][2]
            return self._rows(describe_change(first, second, self.rng), (media,), (other,))
        named = frozenset({"colour", "shape"})
        wrong = (
            (second, first) if self.rng.random() < 0.4 else (self._negative(first, named), second)
        )
        return self._rows(
            media, (describe_change(first, second, self.rng),),
            (describe_change(*wrong, self.rng),),
        )  # fmt: skip

    def _media_query(self, kind: Kind) -> Pair:
        if self.rng.random() < 0.06:
            return self._unrelated_query(kind)
        scene, named = self._scene(kind), self._named(kind)
        media = self.bank.pick(scene, self.rng)
        matching = describe(scene, named, self.rng)
        draw = self.rng.random()
        if draw < 0.78:
            other = describe(self._negative(scene, named), named, self.rng)
        else:
            other = self._far_text(scene) if draw < 0.9 else self._easy_text(kind)
        return self._rows(media, (matching,), (other,), captioned=scene)

    def _unrelated_query(self, kind: Kind) -> Pair:
        """A photo or a noise matches none of the descriptions: both rows say no."""
        pool = self.bank.unrelated_sounds if kind == "sound" else self.bank.unrelated_pictures
        media = pool[int(self.rng.integers(len(pool)))]
        texts = [(describe(self._scene(kind), self._named(kind), self.rng),) for _ in range(2)]
        rows = self._rows(media, *texts)
        return Row(media, texts[0], 0.0), rows[1]
