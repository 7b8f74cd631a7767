"""Packed batches side by side: each waits for those that it builds on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from mmrerank.engine.attention import LayerStates
from mmrerank.engine.interface import ShouldStop, check
from mmrerank.engine.lanes import lanes_on
from mmrerank.engine.memory import TooLarge, attempt
from mmrerank.engine.packed import PackedRunner, Work
from mmrerank.engine.packing import PackedBatch
from mmrerank.errors import Stopped
from mmrerank.locks import CopyableLock

__all__ = ["Outcome", "next_round", "run_round"]

# (num_read, dim); TooLarge; Stopped; None where it was not run: the round ended before, or what it
# builds on is not there.
Outcome: TypeAlias = Tensor | TooLarge | Stopped | None

# Batches that may run, for each lane, before another caller gets the model, and that may leave
# something behind for later ones: at the end of a round lanes wait for each other.
_BATCHES_A_LANE = 8


def next_round(batches: Sequence[PackedBatch], device: Any) -> Sequence[PackedBatch]:
    """The first batches, those that are run before the states that they leave are sorted out."""
    least = _least_of_round(device)
    for number, batch in enumerate(batches):
        if number >= least and (least == 1 or batch.keep):
            return batches[:number]
    return batches


def _least_of_round(device: Any) -> int:
    num_lanes = lanes_on(device).num
    return num_lanes * _BATCHES_A_LANE if num_lanes > 1 else 1


def run_round(
    runner: PackedRunner,
    work: Work,
    batches: Sequence[PackedBatch],
    past: dict[int, LayerStates],
    device: Any,
    *,
    lock: CopyableLock,
    should_stop: ShouldStop,
) -> list[Outcome]:
    """The outcomes of some batches, in their order; what later ones need is added to `past`.

    lock: that of the model, held for the round, which ends early where another caller waits for it
    or a batch does not fit into memory. should_stop is asked before each batch.
    """
    lanes = lanes_on(device)
    futures: list[Future[Outcome]] = []
    gate = _Gate(should_stop, lock, _least_of_round(device))
    makers = [_makers_of(number, batches) for number in range(len(batches))]
    # What others wait for has nothing beside it, nor has what is all there is.
    alone = set().union(*makers) if len(batches) > 1 else {0}

    def run(number: int) -> Outcome:
        batch = batches[number]
        for other in makers[number]:
            if not isinstance(futures[other].result(), Tensor):
                return None
        if not gate.lets_through(number):
            return gate.stopped
        with gate.closing_on_error(), torch.inference_mode():
            made = attempt(
                lambda: runner.run(work, batch, past, device), batch.num_tokens, len(batch.spans)
            )
        if isinstance(made, TooLarge):
            gate.close()
            return made
        states, kept = made
        past.update(kept)
        return states

    with lock, runner.ready(), runner.fast(device):
        for number in range(len(batches)):
            call = partial(run, number)
            futures.append(lanes.start(call, alone=number in alone))
        wait(futures)
    return [future.result() for future in futures]


def _makers_of(number: int, batches: Sequence[PackedBatch]) -> set[int]:
    """The batches in front of one that it builds on."""
    fronts = {place for unit in batches[number].units for place in unit.past}
    return {other for other in range(number) if not fronts.isdisjoint(batches[other].keep)}


class _Gate:
    """Asks the caller before each batch, one thread at a time, and lets none through after a yes,
    an error, or when the model is wanted elsewhere and `least` batches had their turn.

    stopped: the exception of a caller who wants no more.
    """

    def __init__(self, should_stop: ShouldStop, model: CopyableLock, least: int) -> None:
        self.stopped: Stopped | None = None
        self._should_stop = should_stop
        self._model = model
        self._least = least
        self._is_closed = False
        self._lock = threading.Lock()

    def close(self) -> None:
        self._is_closed = True

    def lets_through(self, number: int) -> bool:
        """Whether a batch may run; number: its place in the round."""
        with self._lock:
            if number >= self._least and self._model.is_wanted:
                self.close()
            if not self._is_closed:
                try:
                    check(self._should_stop)
                except Stopped as stopped:
                    self.stopped = stopped
                    self.close()
            return not self._is_closed

    @contextmanager
    def closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise
