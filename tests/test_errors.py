"""Messages stay short whatever is put into them, and errors travel between processes."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank import errors
from mmrerank.errors import MediaNotFound, MissingExtra, MMRerankError, UnsupportedInput, shorten
from mmrerank.inputs import parse_document, parse_pairs
from mmrerank.types import DocumentError

MAX_CHARS = 2_000
CLASSES = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if issubclass(value, MMRerankError)
]
ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.sampled_from(["x" * 5_000, "\ud800" * 3_000, b"\xff" * 9_000, 10**4_000, object()]),
    ),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(st.sampled_from(["text", "image", "query", "k" * 4_000]), inner),
    ),
    max_leaves=8,
)


def _refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """What an error of ours says; "" where there is none. Any other error goes through."""
    try:
        call(*args, **kwargs)
    except MMRerankError as error:
        return str(error)
    return ""


class _Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("cls", CLASSES)
def test_message_is_cut_in_the_middle(cls: type[MMRerankError]):
    error = cls("documents[3].image: " + "x" * 50_000 + ". Shrink it.")
    assert len(str(error)) <= MAX_CHARS
    assert len(repr(error)) <= MAX_CHARS
    assert str(error).startswith("documents[3].image: xxx")
    assert str(error).endswith("xxx. Shrink it.")


@pytest.mark.parametrize("cls", CLASSES)
def test_short_message_stays_as_it_is(cls: type[MMRerankError]):
    assert str(cls("documents[3]: no such file")) == "documents[3]: no such file"
    assert cls("one").args == ("one",)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("copied", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copy_has_the_same_class_and_message(cls: type[MMRerankError], copied: Any):
    error = copied(cls("query.image: " + "y" * 5_000))
    assert type(error) is cls
    assert str(error) == str(cls("query.image: " + "y" * 5_000))


def test_error_in_the_place_of_a_document_is_short_with_its_class():
    error = UnsupportedInput("x" * 9_000)
    assert len(DocumentError(3, error).message) <= MAX_CHARS


def test_error_made_of_an_error_is_cut_too():
    assert len(str(MMRerankError(ValueError("z" * 5_000), 3))) <= MAX_CHARS


def test_error_of_a_file_keeps_the_two_arguments_of_the_builtin():
    error = MediaNotFound("a.png: no such file", "b" * 5_000)
    assert isinstance(error, FileNotFoundError)
    assert error.args[0] == "a.png: no such file"
    assert len(str(error)) <= MAX_CHARS


def test_error_of_an_import_keeps_the_module_that_is_missing():
    assert MissingExtra("install it", name="ray").name == "ray"


@given(ANYTHING)
def test_shortened_text_is_short_and_can_be_printed(value: Any):
    text = shorten(value)
    assert len(text) <= 160
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines", "'two\\nlines'"),
        (b"1234", "4 bytes"),
        ({"text": 1, "image": None}, "{'image': None, 'text': 1}"),
        (_Silent(), "_Silent"),
        pytest.param(10**6_000, "int", id="huge"),
    ],
)
def test_shortened_text_tells_what_it_was(value: object, shown: str):
    assert shown in shorten(value)


def test_shortened_list_of_a_million_texts_looks_at_the_first_only():
    class Text(str):
        num_seen = 0

        def __repr__(self) -> str:
            Text.num_seen += 1
            return "text"

    shorten([Text("a")] * 1_000_000)
    assert Text.num_seen < 100


@given(ANYTHING)
def test_document_that_is_refused_has_a_short_message(value: Any):
    message = _refusal(parse_document, value, where="documents[0]")
    assert len(message) <= MAX_CHARS
    assert message == "" or message.startswith("documents[0]")


@given(ANYTHING)
def test_pairs_that_are_refused_have_a_short_message(value: Any):
    message = _refusal(parse_pairs, value, takes_media=True, on_error="raise")
    assert len(message) <= MAX_CHARS


def test_object_with_a_broken_repr_is_still_refused_by_its_type():
    with pytest.raises(UnsupportedInput, match="_Silent"):
        parse_document(_Silent(), where="documents[0]")


def test_array_of_a_million_numbers_is_shown_in_a_line():
    assert len(shorten(np.zeros(1_000_000))) <= 160
