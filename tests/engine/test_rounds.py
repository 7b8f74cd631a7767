"""How many batches run before lanes wait for each other and another caller gets the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from mmrerank.engine import TokenBudget
from mmrerank.engine.memory import TooLarge
from mmrerank.engine.packing import PackedBatch, pack_batches
from mmrerank.engine.prefix_tree import flat_tree
from mmrerank.engine.rounds import next_round, run_round
from mmrerank.locks import CopyableLock
from tests.engine._architectures import ARCHITECTURES, model_of
from tests.engine._both_ways import BothWays, largest_difference

NUM_BATCHES = 40
MOST_IN_A_ROW = 16  # two lanes, eight batches each


def batches_of(wanted: list[int] | None = None) -> list[PackedBatch]:
    """One prompt each. wanted: places whose states are kept."""
    tree = flat_tree([5] * NUM_BATCHES)
    return pack_batches(tree, NUM_BATCHES, TokenBudget(max_pairs=1), wanted=wanted or [])


class _Runner:
    """Its states are the number of the call. meets: asked at each call, with that number."""

    def __init__(self, meets: Callable[[int], None] = lambda number: None) -> None:
        self._meets = meets
        self._lock = threading.Lock()
        self.num_calls = 0

    def run(self, *_: Any) -> tuple[Tensor, dict[int, Any]]:
        with self._lock:
            number = self.num_calls
            self.num_calls += 1
        self._meets(number)
        return torch.tensor([number]), {}

    def ready(self) -> AbstractContextManager[None]:
        return nullcontext()

    def fast(self, device: Any) -> AbstractContextManager[None]:
        return nullcontext()


def outcomes_of(runner: Any, batches: list[PackedBatch], lock: CopyableLock) -> list[Any]:
    work: Any = None
    return run_round(runner, work, batches, {}, "cpu", lock=lock, should_stop=None)


def test_batches_that_leave_nothing_behind_are_one_round() -> None:
    assert len(next_round(batches_of(), "cpu")) == NUM_BATCHES


def test_what_is_kept_ends_a_round() -> None:
    batches = batches_of(wanted=[3, 30, 35])
    assert len(next_round(batches, "cpu")) == 30
    assert len(next_round(batches[30:], "cpu")) == NUM_BATCHES - 30


def test_all_are_run_where_nobody_waits() -> None:
    runner = _Runner()
    outcomes = outcomes_of(runner, batches_of(), CopyableLock())
    assert all(isinstance(outcome, Tensor) for outcome in outcomes)
    assert runner.num_calls == NUM_BATCHES


def test_another_caller_gets_the_model_before_the_end() -> None:
    lock, had_it = CopyableLock(), threading.Event()

    def take() -> None:
        with lock:
            had_it.set()

    other = threading.Thread(target=take)

    def meets(number: int) -> None:
        if number == 0:
            other.start()
        while not lock.is_wanted:  # it stays so: the round has it
            time.sleep(0.001)

    runner = _Runner(meets)
    outcomes = outcomes_of(runner, batches_of(), lock)
    other.join()
    assert had_it.is_set()
    assert runner.num_calls == MOST_IN_A_ROW
    assert [outcome is None for outcome in outcomes] == [False] * 16 + [True] * 24


def test_nothing_is_tried_behind_a_batch_that_does_not_fit() -> None:
    def meets(number: int) -> None:
        if number == 3:
            raise MemoryError

    runner = _Runner(meets)
    outcomes = outcomes_of(runner, batches_of(), CopyableLock())
    assert sum(isinstance(outcome, TooLarge) for outcome in outcomes) == 1
    assert runner.num_calls <= 6  # what the other lane had begun


@pytest.mark.parametrize("name", ["bert", "qwen3"])
def test_callers_that_take_turns_get_their_own_states(name: str) -> None:
    both = BothWays(ARCHITECTURES[name], model_of(name))
    engine = both.engine(max_cache_bytes=1 << 20)
    lists = [
        [both.group([(caller + place) % 6, place % 5, 2]) for place in range(48)]
        for caller in range(3)
    ]
    found: dict[int, Tensor] = {}

    def call(caller: int) -> None:
        found[caller] = both.states(engine, lists[caller], TokenBudget(max_pairs=1))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for caller, groups in enumerate(lists):
        assert largest_difference(found[caller], both.padded_states(groups)) <= 1e-5
