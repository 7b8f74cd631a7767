"""Which tokens of an over-long prompt stay, on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.errors import InputError
from mmrerank.prompting.truncate import Limits, Tokens, limits_of, tokens_to_keep
from mmrerank.specs import TruncationSpec

# A prompt: tokens of the frame, the query, the frame, the document and the frame; of the two sides
# some cannot be cut (media).
_SIDE = st.lists(st.booleans(), max_size=30)
_FRAME = st.integers(0, 5)
_LIMIT = st.none() | st.integers(1, 60)


def _tokens(num_frame: int, query: list[bool], document: list[bool], num_behind: int) -> Tokens:
    sizes = [num_frame, len(query), num_frame, len(document), num_behind]
    owner = np.repeat(np.arange(5), sizes)
    free = np.zeros(len(owner), dtype=bool)
    free[owner == 1], free[owner == 3] = query, document
    return Tokens(owner == 1, owner == 3, free, num_behind)


@st.composite
def _layouts(draw: st.DrawFn) -> Tokens:
    return _tokens(draw(_FRAME), draw(_SIDE), draw(_SIDE), draw(_FRAME))


@st.composite
def _limits(draw: st.DrawFn) -> Limits:
    return Limits(
        draw(_LIMIT), draw(_LIMIT), draw(_LIMIT), draw(st.booleans()), draw(st.booleans())
    )


def _extra(tokens: Tokens, limits: Limits) -> int:
    """How far a prompt may go beyond its limit."""
    return tokens.num_behind * ((not limits.suffix_counts) + limits.suffix_extends)


@given(_layouts(), _limits())
def test_no_limit_is_passed_and_nothing_fixed_is_cut(tokens: Tokens, limits: Limits) -> None:
    fixed = ~tokens.free
    try:
        keep = tokens_to_keep(tokens, limits)
    except InputError:
        extra = _extra(tokens, limits)
        assert (
            (limits.prompt is not None and fixed.sum() - extra > limits.prompt)
            or (limits.query is not None and (fixed & tokens.query).sum() > limits.query)
            or (limits.document is not None and (fixed & tokens.document).sum() > limits.document)
        )
        return
    assert keep[fixed].all()
    assert limits.prompt is None or keep.sum() <= limits.prompt + _extra(tokens, limits)
    assert limits.query is None or (keep & tokens.query).sum() <= limits.query
    assert limits.document is None or (keep & tokens.document).sum() <= limits.document


@given(_layouts(), st.integers(1, 80))
def test_only_ends_of_the_sides_go_and_the_documents_first(tokens: Tokens, limit: int) -> None:
    try:
        keep = tokens_to_keep(tokens, Limits(limit))
    except InputError:
        return
    assert keep.sum() == min(len(keep), limit)
    in_query, in_document = (
        keep[side & tokens.free].astype(int) for side in (tokens.query, tokens.document)
    )
    assert (np.diff(in_query) <= 0).all()
    assert (np.diff(in_document) <= 0).all()
    if not in_query.all():
        assert not in_document.any()


@given(_layouts())
def test_without_limits_everything_stays(tokens: Tokens) -> None:
    assert tokens_to_keep(tokens, Limits()).all()


def test_query_is_cut_to_its_own_limit_before_the_document() -> None:
    tokens = _tokens(1, [True] * 10, [True] * 10, 2)
    keep = tokens_to_keep(tokens, Limits(prompt=16, query=6))
    assert (keep & tokens.query).sum() == 6
    assert (keep & tokens.document).sum() == 6


def test_limit_of_a_side_holds_in_a_short_prompt_too() -> None:
    tokens = _tokens(1, [True] * 3, [True] * 10, 2)
    keep = tokens_to_keep(tokens, Limits(prompt=100, document=4))
    assert (keep & tokens.document).sum() == 4
    assert keep.sum() == len(keep) - 6


def test_suffix_that_does_not_count_comes_on_top() -> None:
    tokens = _tokens(1, [True] * 3, [True] * 10, 5)
    assert tokens_to_keep(tokens, Limits(10)).sum() == 10
    assert tokens_to_keep(tokens, Limits(10, suffix_counts=False)).sum() == 15
    assert tokens_to_keep(tokens, Limits(8, suffix_counts=False, suffix_extends=True)).sum() == 18


def test_media_above_the_limit_of_their_side_are_refused_by_name() -> None:
    tokens = _tokens(1, [True], [False] * 9, 1)
    with pytest.raises(InputError, match=r"of the document takes 9 tokens, its limit is 4"):
        tokens_to_keep(tokens, Limits(document=4))


@pytest.mark.parametrize(
    ("spec", "tokenizer_limit", "expected"),
    [
        (TruncationSpec(), 512, Limits(512)),
        (TruncationSpec(), 10**30, Limits()),
        (TruncationSpec(max_length=100), 512, Limits(100)),
        (TruncationSpec(max_length=100, max_query_share=0.75), 512, Limits(100, query=75)),
        (TruncationSpec(max_query_share=0.75), 10**30, Limits()),
        (
            TruncationSpec(max_length=100, max_query_share=0.75, max_query_tokens=64),
            512,
            Limits(100, query=64),
        ),
        (TruncationSpec(max_document_tokens=8), 10**30, Limits(document=8)),
        (
            TruncationSpec(max_length=9, suffix_counts=False),
            512,
            Limits(9, suffix_counts=False),
        ),
    ],
)
def test_limits_come_from_the_spec_then_from_the_tokenizer(
    spec: TruncationSpec, tokenizer_limit: int, expected: Limits
) -> None:
    assert limits_of(spec, tokenizer_limit) == expected
