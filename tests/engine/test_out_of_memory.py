"""Out of memory: the budget is halved and the call goes on; the result is the same."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from operator import eq
from typing import Any

import pytest
import torch
from torch import Tensor

from mmrerank.engine import PaddedEngine, TokenBudget
from mmrerank.errors import EngineError
from tests.engine._architectures import ARCHITECTURES, model_of
from tests.engine._both_ways import BothWays, largest_difference

TOLERANCE = 1e-5
LOGGER = "mmrerank.engine.memory"
PROMPTS = [[4, 5, 0], [4, 5, 3], [4, 6], [4, 6, 2], [5, 1], [3], [2], [4]]
# Several batches each way, and several prompts in the first ones.
BUDGETS = {"packed": TokenBudget(200, 4), "padded": TokenBudget(400, 4)}
ERRORS: list[BaseException] = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: out of memory"),
    MemoryError(),
]
KINDS = ["packed", "padded"]


class Failing:
    """A runner that fails at some of its calls. fails: given the number of the call."""

    def __init__(self, runner: Any, error: BaseException, fails: Callable[[int], bool]) -> None:
        self._runner = runner
        self._error = error
        self._fails = fails
        self._lock = threading.Lock()  # batches may run side by side
        self.num_calls = 0

    def run(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            self.num_calls += 1
            fails = self._fails(self.num_calls)
        if fails:
            raise self._error
        return self._runner.run(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


def both_of(name: str = "qwen3") -> BothWays:
    return BothWays(ARCHITECTURES[name], model_of(name))


def failing(
    both: BothWays, kind: str, error: BaseException, fails: Callable[[int], bool]
) -> tuple[Any, Failing]:
    engine = both.engine(max_cache_bytes=1 << 30) if kind == "packed" else PaddedEngine(both.padded)
    runner = Failing(engine._runner, error, fails)
    engine._runner = runner
    return engine, runner


def num_batches(both: BothWays, kind: str, groups: Sequence[Any]) -> int:
    engine, runner = failing(both, kind, ERRORS[0], lambda call: False)
    both.states(engine, groups, BUDGETS[kind])
    return runner.num_calls


def expected_of(both: BothWays) -> tuple[list[Any], Tensor]:
    groups = [both.group(prompt) for prompt in PROMPTS]
    return groups, both.padded_states(groups)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_error_in_any_batch_changes_nothing_in_the_result(kind: str, error: BaseException) -> None:
    """Also where a batch holds one prompt: what others held may have been freed meanwhile."""
    both = both_of()
    groups, expected = expected_of(both)
    count = num_batches(both, kind, groups)
    assert count > 2
    for number in range(1, count + 1):
        engine, runner = failing(both, kind, error, partial(eq, number))
        found = both.states(engine, groups, BUDGETS[kind])
        assert runner.num_calls > number, "it went on"
        assert largest_difference(found, expected) <= TOLERANCE
        # what the call left in the caches is right too
        assert largest_difference(both.states(engine, groups, BUDGETS[kind]), expected) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_errors_one_after_the_other_change_nothing_in_the_result(kind: str) -> None:
    both = both_of()
    groups, expected = expected_of(both)
    engine, _ = failing(both, kind, ERRORS[0], lambda call: call in (1, 3, 5))
    assert largest_difference(both.states(engine, groups, BUDGETS[kind]), expected) <= TOLERANCE


def test_error_in_a_batch_with_pictures_changes_nothing_in_the_result() -> None:
    both = both_of("qwen3_vl_text")
    groups = [both.group(prompt) for prompt in ([4, 7, 1], [4, 7, 3], [8], [5, 10, 2], [11, 9])]
    expected = both.padded_states(groups)
    for number in (1, 2, 3):
        engine, _ = failing(both, "packed", ERRORS[0], partial(eq, number))
        assert (
            largest_difference(both.states(engine, groups, BUDGETS["packed"]), expected)
            <= TOLERANCE
        )


@pytest.mark.parametrize("kind", KINDS)
def test_smaller_batches_are_remembered_with_one_warning(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    both = both_of()
    groups, _ = expected_of(both)
    before = num_batches(both, kind, groups)
    caplog.set_level(logging.WARNING, logger=LOGGER)
    engine, runner = failing(both, kind, ERRORS[0], lambda call: call in (1, 3))
    both.states(engine, groups, BUDGETS[kind])
    runner.num_calls = 100  # no more errors
    both.states(
        engine, [both.group([number, 6]) for number in (2, 3, 2, 3, 2, 3, 2, 3)], BUDGETS[kind]
    )
    assert len([r for r in caplog.records if r.name == LOGGER]) == 1
    runner.num_calls = 100
    both.states(engine, groups, BUDGETS[kind])
    if kind == "padded":  # packed ones have less to do: what was computed is kept
        assert runner.num_calls - 100 > before


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_that_does_not_fit_alone_raises_with_the_remedy(kind: str) -> None:
    both = both_of()
    engine, runner = failing(both, kind, ERRORS[0], lambda call: True)
    with pytest.raises(EngineError, match=r"91 tokens does not fit .* Lower max_length"):
        both.states(engine, [both.group([4, 5])], BUDGETS[kind])
    assert runner.num_calls < 50


@pytest.mark.parametrize("kind", KINDS)
def test_call_after_one_that_failed_scores(kind: str) -> None:
    both = both_of()
    groups, expected = expected_of(both)
    engine, runner = failing(both, kind, ERRORS[0], lambda call: call < 1_000)
    with pytest.raises(EngineError):
        both.states(engine, groups, BUDGETS[kind])
    runner.num_calls = 1_000
    assert largest_difference(both.states(engine, groups, BUDGETS[kind]), expected) <= TOLERANCE


@pytest.mark.parametrize("kind", KINDS)
def test_other_errors_pass_through(kind: str) -> None:
    both = both_of()
    groups, _ = expected_of(both)
    engine, runner = failing(
        both,
        kind,
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        lambda call: call == 2,
    )
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        both.states(engine, groups, BUDGETS[kind])
    assert runner.num_calls <= 3  # another lane may be at work beside it
