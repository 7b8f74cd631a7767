"""plan_batches: every prompt once, within the budget, longest first, the same each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.engine import BatchPlan, TokenBudget, plan_batches
from mmrerank.engine.plan import plan_even_batches
from mmrerank.errors import InputError

LENGTHS = st.lists(st.integers(1, 300), max_size=60)
BUDGETS = st.builds(TokenBudget, max_tokens=st.integers(1, 1_000), max_pairs=st.integers(1, 9))


@given(LENGTHS, BUDGETS)
def test_every_place_is_in_exactly_one_batch(lengths: list[int], budget: TokenBudget) -> None:
    rows = [row for plan in plan_batches(lengths, budget) for row in plan.rows]
    assert sorted(rows) == list(range(len(lengths)))


@given(LENGTHS, BUDGETS)
def test_batch_keeps_the_budget_unless_it_is_one_pair(
    lengths: list[int], budget: TokenBudget
) -> None:
    for plan in plan_batches(lengths, budget):
        padded = max(lengths[row] for row in plan.rows) * len(plan.rows)
        assert plan.num_tokens == padded
        assert not budget.is_exceeded(padded, len(plan.rows)) or len(plan.rows) == 1


@given(LENGTHS, BUDGETS)
def test_longest_come_first_and_equals_keep_their_order(
    lengths: list[int], budget: TokenBudget
) -> None:
    rows = [row for plan in plan_batches(lengths, budget) for row in plan.rows]
    keys = [(-lengths[row], row) for row in rows]
    assert keys == sorted(keys)


@given(LENGTHS, BUDGETS)
def test_same_call_gives_the_same_plan(lengths: list[int], budget: TokenBudget) -> None:
    assert plan_batches(lengths, budget) == plan_batches(list(lengths), budget)


def test_plan_of_a_small_example() -> None:
    plans = plan_batches([3, 10, 4, 10], TokenBudget(max_tokens=20, max_pairs=2))
    assert plans == [BatchPlan((1, 3), 20), BatchPlan((2, 0), 8)]


def test_prompt_longer_than_the_budget_runs_alone() -> None:
    plans = plan_batches([5, 50], TokenBudget(max_tokens=10))
    assert [plan.rows for plan in plans] == [(1,), (0,)]


def test_plan_of_nothing_is_empty() -> None:
    assert plan_batches([], TokenBudget()) == []


def test_budget_of_no_pairs_is_refused_in_the_peers_words() -> None:
    with pytest.raises(InputError) as caught:
        TokenBudget(max_pairs=0)
    assert str(caught.value) == "batch_size must be a positive integer, got 0."


def test_budget_of_no_tokens_is_refused() -> None:
    with pytest.raises(InputError, match="max_tokens must be a positive integer, got -1"):
        TokenBudget(max_tokens=-1)


@given(LENGTHS, BUDGETS, st.integers(1, 4))
def test_even_batches_keep_the_budget_and_the_order(
    lengths: list[int], budget: TokenBudget, num_lanes: int
) -> None:
    plans = plan_even_batches(lengths, budget, num_lanes=num_lanes)
    fewest = plan_batches(lengths, budget)
    assert [row for plan in plans for row in plan.rows] == [row for p in fewest for row in p.rows]
    assert len(fewest) <= len(plans)
    for plan in plans:
        padded = lengths[plan.rows[0]] * len(plan.rows)
        assert plan.num_tokens == padded
        assert not budget.is_exceeded(padded, len(plan.rows)) or len(plan.rows) == 1


@given(st.lists(st.integers(1, 300), min_size=8, max_size=60), st.integers(1, 4))
def test_even_batches_are_as_many_for_each_lane(lengths: list[int], num_lanes: int) -> None:
    plans = plan_even_batches(lengths, TokenBudget(max_tokens=2_000), num_lanes=num_lanes)
    assert len(plans) % num_lanes == 0


def test_even_batches_of_a_small_example() -> None:
    plans = plan_even_batches([10] * 7 + [5] * 2, TokenBudget(max_tokens=40), num_lanes=2)
    assert [plan.rows for plan in plans] == [(0, 1), (2, 3), (4, 5), (6, 7, 8)]
    assert [plan.num_tokens for plan in plans] == [20, 20, 20, 30]


def test_fewer_prompts_than_lanes_run_one_each() -> None:
    plans = plan_even_batches([5, 50], TokenBudget(), num_lanes=4)
    assert [plan.rows for plan in plans] == [(1,), (0,)]
