"""What the benchmark on a GPU scores, and what the times shall be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks._pairs import make_pictures, make_text, make_texts

__all__ = ["ONE_BY_ONE", "Work", "works_of"]

ONE_BY_ONE = "one pair at a time"
_LONGEST = 512
# About a second of the peer's time each, by its own figures on an H100.
_NUM_PAIRS = {"minilm-l6": 2_000, "bge-v2-m3": 500, "ettin-150m": 1_000}


@dataclass(frozen=True, slots=True)
class Work:
    """Pairs for a shape. targets: by contestant, how many times longer it shall take than ours.

    least_utilisation: share of the device's peak that ours shall reach.
    """

    name: str
    pairs: Sequence[Any]
    targets: Mapping[str, float] = field(default_factory=dict)
    least_utilisation: float | None = None
    batch_sizes: Sequence[int] = (32, 128)


def works_of(shape: str, *, is_tiny: bool) -> list[Work]:
    """The rows for one shape; a tiny run has few and short pairs."""
    if shape.startswith("qwen3-vl"):
        works = _multimodal_works(shape, num=4 if is_tiny else 100)
    else:
        works = _encoder_works(shape, num=6 if is_tiny else _NUM_PAIRS[shape], is_tiny=is_tiny)
    return [replace(work, batch_sizes=(32,)) for work in works] if is_tiny else works


def _multimodal_works(shape: str, num: int) -> list[Work]:
    lengths = np.random.default_rng(0).integers(20, 250, num).tolist()
    documents, query = make_texts(1, lengths), make_text(0, 12)
    pictures = make_pictures(0, max(2, num // 4), side_px=64 if num < 10 else 448)
    # One pair at a time a larger model is bound by its weights' way, so ours gains less over it.
    targets = {"peer": 4.0, ONE_BY_ONE: 10.0} if shape == "qwen3-vl-2b" else {}
    return [
        Work(f"{shape}, text query, {num} texts", _all(query, documents), targets, 0.45),
        Work(f"{shape}, picture as query, {num} texts", _all(pictures[0], documents)),
        Work(f"{shape}, text query, {len(pictures)} pictures", _all(query, pictures)),
    ]


def _encoder_works(shape: str, num: int, *, is_tiny: bool) -> list[Work]:
    longest = 40 if is_tiny else _LONGEST
    query = make_text(0, 12)
    mixed = np.random.default_rng(0).integers(20, longest, num).tolist()
    targets = {"peer": 2.5} if shape == "minilm-l6" else {}
    sizes = (32, 128, 512)
    full = _all(query, make_texts(1, [longest] * num))
    return [
        Work(f"{shape}, {num} pairs of {longest} tokens", full, targets, batch_sizes=sizes),
        Work(
            f"{shape}, {num} texts of 20 to {longest} words",
            _all(query, make_texts(1, mixed)),
            batch_sizes=sizes,
        ),
    ]


def _all(query: Any, documents: Sequence[Any]) -> list[Any]:
    return [(query, document) for document in documents]
