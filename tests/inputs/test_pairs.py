"""One pair or many, in each spelling that `predict` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from mmrerank.errors import InputError, UnsupportedInput
from mmrerank.inputs import iter_pairs, parse_pairs
from mmrerank.types import Document, DocumentError, Pair, Text

PICTURE = PILImage.new("RGB", (2, 2))


class Column(Sequence):
    """Like a column of `datasets`: a Sequence that is neither list nor tuple."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


def only_pair(inputs, **options) -> Any:
    (entry,) = parse_pairs(inputs, **options).pairs
    return entry


def sides(pair):
    return pair.query.to_dict(), pair.document.to_dict(), pair.instruction


AB = ({"text": "a"}, {"text": "b"}, None)
CHAT = [{"role": "query", "content": "a"}, {"role": "document", "content": "b"}]


@pytest.mark.parametrize(
    "inputs",
    [
        ("a", "b"),
        ["a", "b"],
        np.array(["a", "b"]),
        np.array(["a", "b"], dtype=object),
        Column(["a", "b"]),
        {"query": "a", "document": "b"},
        CHAT,
        Pair(7, Document((Text("a"),)), Document((Text("b"),))),
        (["a"], "b"),
        ("a", ["b"]),
        ("a", {"text": "b"}),
    ],
)
def test_one_pair_is_single(inputs):
    parsed = parse_pairs(inputs)
    assert parsed.is_single
    assert [sides(pair) for pair in parsed.pairs] == [AB]
    assert parsed.pairs[0].index == 0


@pytest.mark.parametrize(
    "inputs",
    [
        [("a", "b"), ["a", "b"]],
        (("a", "b"), ("a", "b")),
        np.array([["a", "b"], ["a", "b"]]),
        Column([["a", "b"], ["a", "b"]]),
        [{"query": "a", "document": "b"}, ("a", "b")],
        [CHAT, CHAT],
        [("a", "b"), Pair(7, Document((Text("a"),)), Document((Text("b"),)))],
        [(["a"], ["b"]), ("a", "b")],
    ],
)
def test_list_of_pairs_is_a_batch_with_counted_indices(inputs):
    parsed = parse_pairs(inputs)
    assert not parsed.is_single
    assert [sides(pair) for pair in parsed.pairs] == [AB, AB]
    assert [pair.index for pair in parsed.pairs] == [0, 1]


@pytest.mark.parametrize("inputs", [[], (), np.array([]).astype("U"), Column([])])
def test_nothing_is_an_empty_batch(inputs):
    parsed = parse_pairs(inputs)
    assert (parsed.pairs, parsed.is_single) == ([], False)


def test_document_of_a_pair_may_be_a_list_of_parts():
    pair = only_pair(("q", ["text", PICTURE]))
    assert pair.document.to_dict() == {"text": "text", "image": PICTURE}


def test_pair_of_two_pictures_is_single():
    parsed = parse_pairs((PICTURE, PICTURE))
    assert parsed.is_single
    assert only_pair((PICTURE, PICTURE)).query.modalities == ("image",)


def test_system_message_and_instruction_key_become_the_instruction():
    chat = [{"role": "system", "content": [{"type": "text", "text": "judge"}]}, *CHAT]
    from_chat = only_pair(chat)
    from_dict = only_pair({"query": "a", "document": "b", "instruction": "judge"})
    assert sides(from_chat) == sides(from_dict) == (AB[0], AB[1], "judge")


@pytest.mark.parametrize("inputs", ["only a query", 3, None, iter([("a", "b")]), PICTURE, b"x"])
def test_what_is_no_pair_at_all_says_what_is_needed(inputs):
    with pytest.raises(UnsupportedInput, match="a query and a document are needed"):
        parse_pairs(inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("q",), r"inputs: 1 element; a query and a document"),
        (("a", "b", "c"), r"inputs: 3 elements; a query and a document"),
        ([("a", "b"), ("a",)], r"inputs\[1\]: 1 element; a query"),
        ([("a", "b"), "x"], r"inputs\[1\]: str 'x'; a query"),
        ([("a", None)], r"inputs\[0\] \(document\): None is no query or document"),
        ([("a", "b"), (7, "b")], r"inputs\[1\] \(query\): int 7"),
        ({"query": "a"}, r"inputs: the key 'document' is missing"),
        (
            {"query": "a", "documents": "b"},
            r"unknown key 'documents' \(did you mean 'document'",
        ),
        ({"text": "a"}, r"inputs: a dict with \['text'\] is no pair"),
        ({"query": "a", "document": "b", "instruction": 3}, r"instruction is a str, got int"),
        ([CHAT[0], CHAT[0]], r"inputs\[1\]: the role 'query' is unknown or comes twice"),
        ([CHAT[0], {"role": "user", "content": "b"}], r"the role 'user' is unknown"),
    ],
)
def test_broken_pair_says_where_it_is(inputs, message):
    with pytest.raises(InputError, match=message):
        parse_pairs(inputs)


def test_record_puts_the_error_in_its_place_and_reads_the_rest():
    parsed = parse_pairs([("a", "b"), ("a", None), ("a", "b")], on_error="record")
    assert [type(entry) for entry in parsed.pairs] == [Pair, DocumentError, Pair]
    error: Any = parsed.pairs[1]
    assert error.index == 1
    assert error.message.startswith("UnsupportedInput: inputs[1] (document): None")
    assert parsed.pairs[2].index == 2


def test_text_model_reads_a_bare_url_as_words():
    pair = only_pair(("https://host/page", "b"), takes_media=False)
    assert pair.query.to_dict() == {"text": "https://host/page"}


def test_stream_is_read_one_pair_at_a_time():
    taken = []

    def rows():
        for index in range(3):
            taken.append(index)
            yield ("a", "b") if index != 1 else "no pair"

    stream = iter_pairs(rows())
    assert taken == []
    assert sides(next(stream)) == AB
    assert taken == [0]
    rest = list(stream)
    assert [(type(entry), entry.index) for entry in rest] == [(DocumentError, 1), (Pair, 2)]
