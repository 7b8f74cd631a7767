"""Batches of a prefix tree: within the budget, each token once, nothing missing in front."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.engine import TokenBudget
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.prefix_tree import PrefixTree, build_tree, flat_tree

PROMPTS = st.lists(
    st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=6).map(
        lambda units: np.repeat(np.array(units), 12)
    ),
    min_size=1,
    max_size=10,
)
BUDGETS = st.builds(TokenBudget, max_tokens=st.integers(1, 200), max_pairs=st.integers(1, 6))
LANES = st.integers(1, 3)


def needed(tree: PrefixTree) -> set[int]:
    return {place for leaf in tree.leaf_of for place in (*tree.chain(leaf), leaf)}


@given(PROMPTS, BUDGETS, LANES)
def test_each_segment_and_prompt_is_in_one_batch(rows, budget, num_lanes):
    tree = build_tree(rows)
    batches = pack_batches(tree, len(rows), budget, num_lanes=num_lanes)
    assert sorted(place for batch in batches for place in batch.spans) == sorted(needed(tree))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(rows)))


@given(PROMPTS, BUDGETS, LANES)
def test_batches_keep_the_budget_unless_one_segment_is_larger(rows, budget, num_lanes):
    tree = build_tree(rows)
    for batch in pack_batches(tree, len(rows), budget, num_lanes=num_lanes):
        assert batch.num_tokens <= budget.max_tokens or len(batch.spans) == 1
        scored_places = {tree.leaf_of[row] for row in batch.rows}
        assert len(batch.rows) <= budget.max_pairs or len(scored_places) == 1


@given(PROMPTS, BUDGETS, LANES)
def test_what_stands_in_front_is_in_the_row_or_was_kept(rows, budget, num_lanes):
    tree = build_tree(rows)
    held: set[int] = set()
    for batch in pack_batches(tree, len(rows), budget, num_lanes=num_lanes):
        for unit in batch.units:
            assert held.issuperset(unit.past)
        held = (held | batch.keep) - batch.drop
    assert held == set()


@given(PROMPTS, BUDGETS, LANES)
def test_units_cover_the_row_and_see_their_whole_chain(rows, budget, num_lanes):
    tree = build_tree(rows)
    for batch in pack_batches(tree, len(rows), budget, num_lanes=num_lanes):
        ends = [unit.end for unit in batch.units]
        assert [unit.start for unit in batch.units] == [0, *ends[:-1]]
        assert ends[-1] == batch.num_tokens
        for unit in batch.units:
            past = sum(tree.segments[place].num_tokens for place in unit.past)
            in_row = sum(end - start for start, end in unit.ranges)
            assert past + in_row == unit.position


def test_known_segments_are_not_computed():
    rows = [np.array([1] * 30 + [2 + i] * 5) for i in range(3)]
    tree = build_tree(rows)
    (batch,) = pack_batches(tree, 3, TokenBudget(), known=[0])
    assert batch.num_tokens == 15
    assert [unit.past for unit in batch.units] == [(0,)]


def test_rows_behind_the_prompts_are_not_computed():
    rows = [np.array([1] * 30 + [2] * 5), np.array([1] * 30 + [3] * 50)]
    (batch,) = pack_batches(build_tree(rows), 1, TokenBudget())
    assert batch.num_tokens == 35


def test_wanted_segments_are_kept_to_the_end():
    tree = flat_tree([10])
    (batch,) = pack_batches(tree, 1, TokenBudget(), wanted=[0])
    assert batch.keep == {0}


def test_short_neighbours_share_an_attention_call():
    rows = [np.array([1] * 30 + [2 + i] * 20) for i in range(8)]
    (batch,) = pack_batches(build_tree(rows), 8, TokenBudget())
    assert [len(unit.lengths) for unit in batch.units] == [1, 6, 2]


@given(st.lists(st.integers(20, 200), min_size=10, max_size=80), st.integers(2, 4))
def test_lanes_have_as_much_to_do(lengths, num_lanes):
    budget = TokenBudget(max_tokens=1_024)
    batches = pack_batches(flat_tree(lengths), len(lengths), budget, num_lanes=num_lanes)
    sizes = [batch.num_tokens for batch in batches]
    if sum(lengths) >= num_lanes * 128:
        assert len(batches) % num_lanes == 0
        # The last ones may be half as large as those in front of them.
        for alike in (sizes[: -2 * num_lanes], sizes[-2 * num_lanes :]):
            assert not alike or max(alike) - min(alike) <= 2 * max(lengths)


def test_the_last_batches_of_long_work_are_half_as_large():
    lengths = [64] * 96
    batches = pack_batches(flat_tree(lengths), 96, TokenBudget(max_tokens=1_100), num_lanes=2)
    assert [batch.num_tokens for batch in batches] == [1_024] * 4 + [512] * 4


def test_little_work_is_not_shared_out():
    (batch,) = pack_batches(flat_tree([40, 50]), 2, TokenBudget(max_tokens=1_024), num_lanes=2)
    assert batch.num_tokens == 90


def test_shared_beginning_is_a_batch_in_front_of_those_that_run_side_by_side():
    rows = [np.array([1] * 100 + [2 + i] * 100) for i in range(4)]
    batches = pack_batches(build_tree(rows), 4, TokenBudget(), num_lanes=2)
    assert [batch.num_tokens for batch in batches] == [100, 200, 200]
    assert [batch.rows for batch in batches] == [(), (0, 1), (2, 3)]
