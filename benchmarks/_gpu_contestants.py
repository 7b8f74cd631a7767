"""Who scores in the benchmark on a GPU: both libraries, and the vendor's way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from benchmarks._gpu_checkpoints import Rerankers, Shape
from benchmarks._gpu_measure import fastest_batch_size
from benchmarks._gpu_works import ONE_BY_ONE, Work
from benchmarks._vendor import OneByOne
from mmrerank import CrossEncoder

__all__ = ["Ours", "Predict", "contestants_for"]

Predict: TypeAlias = Callable[[Sequence[Any]], np.ndarray]


@dataclass(slots=True)
class Ours:
    """A new object before each turn: nothing cached earlier counts."""

    model: CrossEncoder
    batch_size: int = 32
    fresh: CrossEncoder | None = None

    def prepare(self) -> None:
        """Caches are empty then; what is made when a model is loaded is not part of a turn."""
        self.fresh = copy.copy(self.model)
        _ = self.fresh.pipeline

    def predict(self, pairs: Sequence[Any]) -> np.ndarray:
        """Scores of the object that `prepare` has made."""
        assert self.fresh is not None
        scores: np.ndarray = self.fresh.predict(list(pairs), batch_size=self.batch_size)
        return scores


def contestants_for(
    work: Work, rerankers: Rerankers, shape: Shape, ours: Ours
) -> dict[str, Predict]:
    """By name, what scores pairs; batch sizes are chosen here."""

    def theirs(size: int) -> Any:
        return rerankers.peer.predict(list(work.pairs), batch_size=size)

    def own(size: int) -> Any:
        ours.batch_size = size
        ours.prepare()
        return ours.predict(work.pairs)

    peer_size = fastest_batch_size(theirs, work.batch_sizes)
    ours.batch_size = fastest_batch_size(own, work.batch_sizes)
    named: dict[str, Predict] = {
        "peer": lambda pairs: rerankers.peer.predict(list(pairs), batch_size=peer_size),
        "ours": ours.predict,
    }
    if shape.is_multimodal:
        named[ONE_BY_ONE] = OneByOne(rerankers.model, rerankers.folder).predict
    return named
