"""Work ahead of its consumer: order, bounds, errors in their place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.pipeline.ahead import in_order


@given(st.lists(st.integers()), st.integers(1, 4), st.integers(1, 5))
def test_results_stand_in_the_order_of_the_items(items, num_threads, max_ahead):
    found = in_order(lambda item: item + 1, items, num_threads=num_threads, max_ahead=max_ahead)
    assert list(found) == [item + 1 for item in items]


def test_slow_first_item_does_not_let_a_later_one_pass():
    def work(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(in_order(work, range(6), num_threads=4, max_ahead=4)) == [0, 1, 2, 3, 4, 5]


def test_no_more_items_are_taken_than_may_be_ahead():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items(), num_threads=2, max_ahead=5)
    assert next(results) == 0
    assert len(taken) == 6
    assert next(results) == 1
    assert len(taken) == 7


def test_heavy_items_leave_less_room_for_others():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = in_order(lambda item: item, items(), num_threads=2, max_ahead=6, weigh=lambda item: 3)
    assert next(results) == 0
    assert len(taken) == 3


def test_item_heavier_than_all_that_may_be_ahead_is_worked_on():
    found = in_order(lambda item: item, range(3), num_threads=2, max_ahead=1, weigh=lambda item: 9)
    assert list(found) == [0, 1, 2]


def test_items_are_drawn_in_the_thread_of_the_caller():
    threads: set[str] = set()

    def items() -> Iterator[int]:
        for item in range(9):
            threads.add(threading.current_thread().name)
            yield item

    list(in_order(lambda item: item, items(), num_threads=3, max_ahead=3))
    assert threads == {threading.current_thread().name}


def test_items_are_worked_on_at_the_same_time():
    both = threading.Barrier(2, timeout=10)  # breaks, and fails the test, when one comes alone
    found = in_order(lambda item: both.wait() >= 0, range(2), num_threads=2, max_ahead=2)
    assert list(found) == [True, True]


def test_single_item_is_worked_on_in_the_thread_of_the_caller():
    found = in_order(lambda item: threading.current_thread(), ["only"], num_threads=4, max_ahead=4)
    assert list(found) == [threading.current_thread()]


def test_error_of_the_work_is_raised_in_its_place():
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("item 2")
        return item

    results = in_order(work, range(9), num_threads=3, max_ahead=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="item 2"):
        next(results)


def test_error_of_the_items_is_raised():
    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(in_order(lambda item: item, items(), num_threads=2, max_ahead=1))


def test_nothing_is_started_after_the_consumer_has_left():
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return item

    results = in_order(work, range(100), num_threads=1, max_ahead=3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(done) <= 4
