"""Answers of models that write an order down."""

from __future__ import annotations

import pytest

from mmrerank.prompting import example_answer, order_of
from mmrerank.specs import find_processor

SAID = find_processor("lighton-rerank-lw").listwise
assert SAID is not None


@pytest.mark.parametrize(
    ("answer", "order"),
    [
        ("[2] > [1] > [4] > [3]", [1, 0, 3, 2]),
        ("Sure: [2]>[1]  >\n[4] > [3]. I hope this helps.", [1, 0, 3, 2]),
        ("[1] > [2] > [3] > [4] > [5]", [0, 1, 2, 3]),
        ("", None),
        ("[2] > [1] > [4]", None),
        ("[2] > [1] > [1] > [3]", None),
        ("[0] > [1] > [2] > [3]", None),
        ("[5] > [1] > [2] > [3]", None),
        ("2 > 1 > 4 > 3", None),
        ("[2], [1], [4], [3]", None),
    ],
)
def test_answer_is_a_permutation_or_none(answer: str, order: list[int] | None) -> None:
    assert SAID is not None
    assert order_of(answer, 4, SAID) == order


def test_example_is_read_back() -> None:
    assert SAID is not None
    assert example_answer(3, SAID) == "[3] > [2] > [1]"
    assert order_of(example_answer(3, SAID), 3, SAID) == [2, 1, 0]
