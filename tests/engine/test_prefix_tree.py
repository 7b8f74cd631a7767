"""The prefix tree: every prompt can be read back, nothing shared is held twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.engine.prefix_tree import (
    MIN_SAVED_TOKENS,
    PrefixTree,
    Segment,
    build_tree,
    flat_tree,
)


def tree_of(*rows: Sequence[int]) -> PrefixTree:
    return build_tree([np.array(row, dtype=np.int64) for row in rows])


def read(tree: PrefixTree, rows: Sequence[Sequence[int]], row: int) -> list[int]:
    """The tokens on the way from the beginning to a prompt's leaf."""
    leaf = tree.leaf_of[row]
    places = [*tree.chain(leaf), leaf]
    return [
        token
        for place in places
        for token in rows[tree.segments[place].row][
            tree.segments[place].start : tree.segments[place].end
        ]
    ]


# Few symbols and long runs, so that beginnings are shared at several depths.
PROMPTS = st.lists(
    st.lists(st.sampled_from([0, 1, -7]), min_size=1, max_size=8).map(
        lambda units: [unit for unit in units for _ in range(12)]
    ),
    min_size=1,
    max_size=12,
)


@given(PROMPTS)
def test_each_prompt_is_read_back_from_its_leaf(rows):
    tree = tree_of(*rows)
    for row, tokens in enumerate(rows):
        assert read(tree, rows, row) == list(tokens)


@given(PROMPTS)
def test_parents_stand_in_front_and_join_without_a_gap(rows):
    tree = tree_of(*rows)
    for place, segment in enumerate(tree.segments):
        assert segment.parent < place
        before = 0 if segment.parent < 0 else tree.segments[segment.parent].end
        assert segment.start == before
        assert segment.num_tokens > 0


@given(PROMPTS)
def test_what_siblings_share_is_less_than_what_a_split_must_save(rows):
    tree = tree_of(*rows)
    children: dict[int, list[tuple[int, ...]]] = {}
    for segment in tree.segments:
        tokens = tuple(rows[segment.row][segment.start : segment.end])
        children.setdefault(segment.parent, []).append(tokens)
    for siblings in children.values():
        for a, b in zip(sorted(siblings), sorted(siblings)[1:], strict=False):
            shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
            assert (min(len(a), len(b)) if shared is None else shared) < MIN_SAVED_TOKENS


@given(PROMPTS, st.randoms())
def test_order_of_the_prompts_does_not_matter(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert tree_of(*rows).num_tokens == tree_of(*shuffled).num_tokens


def test_query_before_its_documents_is_held_once():
    query, documents = list(range(50)), [[100 + i] * 20 for i in range(5)]
    tree = tree_of(*[query + document for document in documents])
    assert tree.num_tokens == 50 + 5 * 20
    assert tree.segments[0] == Segment(row=0, start=0, end=50, parent=-1)


def test_beginnings_are_shared_at_several_depths():
    system, first, second = [1] * 30, [2] * 20, [3] * 20
    rows = [[*system, *query, *[9 + i] * 5] for query in (first, second) for i in range(3)]
    assert tree_of(*rows).num_tokens == 30 + 2 * 20 + 6 * 5


def test_equal_prompts_share_their_leaf():
    tree = tree_of([5] * 40, [5] * 40, [5] * 40)
    assert tree.leaf_of == (0, 0, 0)
    assert tree.num_tokens == 40


def test_prompt_that_another_begins_with_ends_inside_the_tree():
    tree = tree_of([5] * 40, [5] * 40 + [6] * 10)
    assert tree.num_tokens == 50
    assert tree.leaf_of == (0, 1)


def test_few_shared_tokens_are_not_split_off():
    tree = tree_of([1, 2, 3], [1, 2, 4])
    assert [segment.parent for segment in tree.segments] == [-1, -1]


def test_symbols_sort_by_value_also_below_zero():
    rows = [[-5] * 20 + [1], [3] * 20 + [1], [-5] * 20 + [2], [3] * 20 + [2]]
    assert tree_of(*rows).num_tokens == 2 * 20 + 4


def test_locate_finds_the_segment_of_a_position():
    tree = tree_of([1] * 30 + [2] * 5, [1] * 30 + [3] * 5)
    assert tree.locate(0, 29) == 0
    assert tree.segments[tree.locate(1, 30)].row == 1
    with pytest.raises(IndexError, match="position 35"):
        tree.locate(0, 35)


def test_chain_of_ten_thousand_prompts_does_not_exhaust_the_stack():
    rows = [np.full(20 * (i + 1), 7) for i in range(300)]
    assert build_tree(rows).num_tokens == 20 * 300


def test_equal_prompts_of_a_flat_tree_are_one_segment():
    tree = flat_tree([3, 5, 3], ["a", "b", "a"])
    assert tree.num_tokens == 8
    assert tree.leaf_of == (0, 1, 0)


def test_flat_tree_shares_nothing():
    tree = flat_tree([3, 5])
    assert tree.num_tokens == 8
    assert tree.leaf_of == (0, 1)


def test_no_prompts_give_an_empty_tree():
    assert tree_of().segments == ()
