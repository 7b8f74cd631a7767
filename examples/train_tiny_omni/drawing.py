"""Training data without files: a row is a number, and the collator draws an example from each.

The same number gives the same example in each run and process, so a resumed run sees what it would
have seen, and skipping to its place draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from mmrerank.training.samplers import DefaultBatchSampler

from .bank import Bank
from .batches import Batch, Row, collate
from .heads import Labelled
from .pairs import Pair, PairMaker
from .world import Kind

__all__ = ["ALL_SORTS", "TEXT_SORTS", "DrawMedia", "DrawPairs", "InOrder"]

Names = list[str]

# Media of a step of one process. Vision comes first, as in `tower_states`.
_TOWER_SORTS = (
    *["picture"] * 26, *["unrelated_pictures"] * 2, *["clip"] * 12, "unrelated_pictures",
    *["sound"] * 4,
)  # fmt: skip
TEXT_SORTS: tuple[Names, ...] = (["text"] * 16,)
# Pairs of a step of one process, "query>document": what is learned soonest gets the fewest. Each
# list is one padded batch, so that rows of like length meet.
ALL_SORTS: tuple[Names, ...] = (
    [*["text"] * 4, *["picture>text"] * 2, "sound>text"],
    [*["text>picture"] * 4, *["text>sound"] * 3],
    [*["text>clip"] * 5, *["clip>text"] * 3],
)


class InOrder(DefaultBatchSampler):
    """Batches in the order of the rows, so that each holds every sort."""

    def __init__(self, dataset: Dataset, batch_size: int, drop_last: bool, **options: Any) -> None:
        super().__init__(range(len(dataset)), batch_size, drop_last, **options)


class DrawMedia:
    """Collator of the stage "towers": {"media": [(medium, its scene or None)]}."""

    valid_label_columns: ClassVar[Sequence[str]] = ()
    batch_size = len(_TOWER_SORTS)

    def __init__(self, bank: Bank, seed: int) -> None:
        self.bank, self.seed = bank, seed
        kinds: tuple[Kind, ...] = ("picture", "clip", "sound")
        self._scenes: dict[str, Any] = {kind: bank.scenes(kind) for kind in kinds}

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, list[Labelled]]:
        return {"media": [self._draw(row["row"]) for row in rows]}

    def _draw(self, number: int) -> Labelled:
        rng = np.random.default_rng((self.seed, number))
        sort = _TOWER_SORTS[number % len(_TOWER_SORTS)]
        if sort == "unrelated_pictures":
            pool = self.bank.unrelated_pictures
            return pool[int(rng.integers(len(pool)))], None
        scenes = self._scenes[sort]
        scene = scenes[int(rng.integers(len(scenes)))]
        return self.bank.pick(scene, rng), scene


class DrawPairs:
    """Collator of the other stages: {"batches": padded batches of two rows a pair}."""

    valid_label_columns: ClassVar[Sequence[str]] = ()

    def __init__(
        self, bank: Bank, tokenizer: PreTrainedTokenizerFast, sorts: Sequence[Names], seed: int
    ) -> None:
        self.tokenizer, self.sorts, self.seed = tokenizer, sorts, seed
        self._maker = PairMaker(bank, np.random.default_rng(seed))
        self._flat = [sort for names in sorts for sort in names]
        self.batch_size = len(self._flat)

    def __call__(self, rows: Sequence[Mapping[str, int]]) -> dict[str, list[Batch]]:
        left = iter([self._draw(row["row"]) for row in rows])
        parts = [[next(left) for _ in names] for names in self.sorts]
        return {"batches": [collate(_rows_of(part), self.tokenizer) for part in parts]}

    def _draw(self, number: int) -> Pair:
        self._maker.rng = np.random.default_rng((self.seed, number))
        return self._maker.draw(self._flat[number % len(self._flat)])


def _rows_of(pairs: Sequence[Pair]) -> list[Row]:
    return [row for pair in pairs for row in pair]
