"""What is trained on: texts and pictures of which some answer a query, by work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, Value

from benchmarks._pairs import make_pictures, make_text
from mmrerank.training.presets import pairs_with_negatives

__all__ = ["Work", "works"]

_QUERY_WORDS = 8
_NUM_NEGATIVES = 16  # of the published recipe
_PICTURE_PX = 320


@dataclass(frozen=True, slots=True)
class Work:
    """A training run that both libraries do.

    loss: a class of both libraries' losses. has_lora: an adapter by the preset, else all weights
    are trained. in_order: batches are neighbours of the dataset, else rows are drawn.
    """

    name: str
    checkpoint: str
    dataset: Callable[[], Dataset]
    loss: str
    batch_size: int
    num_steps: int
    least_ratio: float = 1.3
    learning_rate: float = 1e-4
    has_lora: bool = False
    in_order: bool = False

    @property
    def num_rows(self) -> int:
        """Rows of the dataset that one run trains on."""
        return self.batch_size * self.num_steps


def works(*, is_tiny: bool = False) -> list[Work]:
    """The rows of the table. is_tiny: two short steps each, to show that it runs."""
    least, most, most_lm = (4, 12, 12) if is_tiny else (20, 250, 160)
    px = 64 if is_tiny else _PICTURE_PX
    steps = (2, 2, 2, 2) if is_tiny else (8, 3, 3, 2)
    recipe_batch = 1 + (2 if is_tiny else _NUM_NEGATIVES)
    group = {"num_hard": 1 if is_tiny else 3, "most": most_lm, "least": least}
    return [
        Work(
            f"texts of {least} to {most} words, MiniLM shape, labelled pairs",
            "minilm",
            lambda: labelled_texts(16 * steps[0], least, most),
            "BinaryCrossEntropyLoss",
            batch_size=16,
            num_steps=steps[0],
        ),
        Work(
            f"texts of {least} to {most_lm} words, language model, negatives of the batch and own",
            "lm",
            lambda: text_groups(4 * steps[1], **group),
            "MultipleNegativesRankingLoss",
            batch_size=4,
            num_steps=steps[1],
        ),
        Work(
            f"pictures, LoRA, a positive and {recipe_batch - 1} negatives of one query",
            "vl",
            lambda: labelled_pictures(recipe_batch, steps[2], px),
            "BinaryCrossEntropyLoss",
            batch_size=recipe_batch,
            num_steps=steps[2],
            has_lora=True,
            in_order=True,
        ),
        Work(
            "pictures, LoRA, negatives of the batch",
            "vl",
            lambda: picture_groups(4 * steps[3], px),
            "MultipleNegativesRankingLoss",
            batch_size=4,
            num_steps=steps[3],
            has_lora=True,
        ),
    ]


# ---------------------------------------------------------------- texts


def labelled_texts(num_rows: int, least: int, most: int) -> Dataset:
    """query, document, label; every other document has the query's words somewhere in it."""
    rng = np.random.default_rng(0)
    queries = [make_text(row, _QUERY_WORDS) for row in range(num_rows)]
    return Dataset.from_dict(
        {
            "query": queries,
            "document": [
                _document(rng, query if row % 2 else None, least, most)
                for row, query in enumerate(queries)
            ],
            "label": [float(row % 2) for row in range(num_rows)],
        }
    )


def text_groups(num_rows: int, *, num_hard: int, least: int, most: int) -> Dataset:
    """query, positive, and so many negatives of its own."""
    rng = np.random.default_rng(1)
    queries = [make_text(row, _QUERY_WORDS) for row in range(num_rows)]
    columns = {"query": queries, "positive": [_document(rng, q, least, most) for q in queries]}
    for place in range(num_hard):
        columns[f"negative_{place}"] = [_document(rng, None, least, most) for _ in queries]
    return Dataset.from_dict(columns)


def _document(rng: Any, query: str | None, least: int, most: int) -> str:
    """Random words, those of the query among them where one is given."""
    words = make_text(int(rng.integers(1 << 30)), int(rng.integers(least, most + 1))).split()
    if query is not None:
        at = int(rng.integers(len(words)))
        words[at : at + _QUERY_WORDS] = query.split()
    return " ".join(words)


# ---------------------------------------------------------------- pictures


def labelled_pictures(batch_size: int, num_queries: int, side_px: int) -> Dataset:
    """query, document, label: a query's positive, then its negatives, as the preset makes them."""
    pictures = iter(make_pictures(2, num_queries * batch_size, side_px=side_px))
    rows = [
        {
            "query": make_text(row, _QUERY_WORDS),
            "positive": next(pictures),
            "negatives": [next(pictures) for _ in range(batch_size - 1)],
        }
        for row in range(num_queries)
    ]
    pairs = list(pairs_with_negatives(rows, num_negatives=batch_size - 1))
    return _dataset(pairs, {"query": Value("string"), "document": Image(), "label": Value("float")})


def picture_groups(num_rows: int, side_px: int) -> Dataset:
    """query, positive, negative; the loss adds pictures of the batch's other rows."""
    pictures = iter(make_pictures(3, 2 * num_rows, side_px=side_px))
    rows = [
        {
            "query": make_text(row, _QUERY_WORDS),
            "positive": next(pictures),
            "negative": next(pictures),
        }
        for row in range(num_rows)
    ]
    kinds = {"query": Value("string"), "positive": Image(), "negative": Image()}
    return _dataset(rows, kinds)


def _dataset(rows: Sequence[dict[str, Any]], kinds: dict[str, Any]) -> Dataset:
    columns = {name: [row[name] for row in rows] for name in kinds}
    return Dataset.from_dict(columns, Features(kinds))
