"""Any object at all as a query or a document: a score, or an error of ours in a few words."""

from __future__ import annotations

import array
import datetime
import decimal
import pathlib
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmrerank import Audio, CrossEncoder, Document, Image, Text, Video
from mmrerank.errors import MMRerankError
from tests.fuzzing.pictures import PICTURES

# Plain letters beside everything Unicode: keys that are nearly right are the interesting ones.
KEYS = st.sampled_from(
    [
        *("text", "image", "audio", "video", "pdf", "page", "content", "type", "role", "array"),
        *("sampling_rate", "bytes", "path", "url", "image_url", "query", "document", "txt"),
    ]
)
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    *(st.binary(max_size=20), st.complex_numbers(), st.decimals(), st.dates(), st.uuids()),
    st.sampled_from([Ellipsis, NotImplemented, object, len, int, ValueError("x"), range(3)]),
    st.sampled_from([np.float32(1), np.int8(3), np.str_("x"), np.datetime64("2024-01-01")]),
    st.sampled_from([decimal.Decimal("nan"), datetime.timedelta(1), pathlib.Path("no-such.png")]),
    st.sampled_from(["cat.png", "data:image/png;base64,AAAA", "data:,", "file:///no", "a://b.png"]),
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(KEYS, KEYS, st.text(string.printable, max_size=6), st.integers(), st.none())
    return st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=4),
        st.frozensets(st.integers(), max_size=3),
        st.builds(Text, st.text(max_size=8)),
        st.builds(Image, inner),
        st.builds(Image, st.just(PICTURES["png"]()), page=inner),
        st.builds(Audio, inner, inner),
        st.builds(Video, inner, st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    )


OBJECTS = st.recursive(SCALARS, containers, max_leaves=8)
MANY = settings(max_examples=300, suppress_health_check=list(HealthCheck))


@MANY
@given(value=OBJECTS)
def test_any_object_as_a_document_is_scored_or_refused_in_words(value, check_document):
    check_document(value)


@MANY
@given(value=OBJECTS)
def test_any_object_as_a_query_is_scored_or_refused_in_words(value, check_query):
    check_query(value)


@MANY
@given(value=OBJECTS)
def test_any_object_as_all_pairs_or_all_documents_is_scored_or_refused_in_words(
    value, model: CrossEncoder
):
    for call in (
        lambda: model.predict(value, on_error="record"),
        lambda: model.predict(value),
        lambda: model.rank("a query", value, on_error="record"),
    ):
        try:
            call()
        except MMRerankError as error:
            assert 0 < len(str(error)) <= 2_000  # noqa: PT017 - a score is as right as an error


class Hostile:
    """Every question that a reader may ask of it raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attribute for you")

    def __repr__(self) -> str:
        raise RuntimeError("no words for you")

    def __len__(self) -> int:
        raise RuntimeError("no length for you")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth for you")

    def __iter__(self) -> Any:
        raise RuntimeError("no items for you")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality for you")

    def __hash__(self) -> int:
        raise RuntimeError("no hash for you")


class LongWords:
    def __repr__(self) -> str:
        return "x" * 10_000_000


class BadFile:
    """Says that it is a file, and is none."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read(self, *_: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def seek(self, *_: Any) -> Any:
        return self.read()

    tell = seekable = seek


def ring_list() -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def ring_dict() -> dict[str, Any]:
    ring: dict[str, Any] = {}
    ring["content"] = [{"type": "text", "text": ring}]
    return ring


def deep(depth: int) -> Any:
    value: Any = "text"
    for _ in range(depth):
        value = [value]
    return value


ODD: dict[str, Any] = {
    "hostile object": Hostile(),
    "hostile object in a dict": {"image": Hostile()},
    "hostile object in a part": Image(Hostile()),
    "hostile frames": Video([Hostile(), Hostile()]),
    "object of ten million words": LongWords(),
    "object of ten million words in a part": Audio(LongWords()),
    "key of ten million letters": {"x" * 10_000_000: 1},
    "list that holds itself": ring_list(),
    "dict that holds itself": ring_dict(),
    "frames that hold themselves": Video(ring_list()),
    "list 5,000 deep": deep(5_000),
    "dict of 100,000 keys": {f"key{place}": place for place in range(100_000)},
    "no parts": Document(()),
    "list of nothing": [],
    "dict of nothing": {},
    "iterator": iter(["a", "b"]),
    "generator of itself": (letter for letter in "abc"),
    "file that gives None": BadFile(None),
    "file that gives numbers": BadFile(7),
    "file that gives text": BadFile("text"),
    "file that raises": BadFile(RuntimeError("no")),
    "file that raises KeyError": BadFile(KeyError("no")),
    "memory view of floats": memoryview(array.array("f", [0.0] * 8)),
    "memory view with a stride": memoryview(PICTURES["png"]() * 2)[::2],
    "page that is no number": Image(PICTURES["pdf"](), page="first"),  # type: ignore[arg-type]
    "page below zero": Image(PICTURES["pdf"](), page=-1),
    "page of a huge number": Image(PICTURES["pdf"](), page=10**30),
    "rate that is text": Audio(np.zeros(800, np.float32), "fast"),  # type: ignore[arg-type]
    "rate below zero": Audio(np.zeros(800, np.float32), -16_000),
    "rate of zero": Audio(np.zeros(800, np.float32), 0),
    "rate of nan": Audio(np.zeros(800, np.float32), float("nan")),  # type: ignore[arg-type]
    "rate of 10**30": Audio(np.zeros(800, np.float32), 10**30),
    "metadata of nonsense": Video(np.zeros((2, 8, 8, 3), np.uint8), {"fps": "no"}),
    "metadata of nan": Video(np.zeros((2, 8, 8, 3), np.uint8), {"fps": float("nan")}),
    "metadata of zero": Video(np.zeros((2, 8, 8, 3), np.uint8), {"fps": 0}),
    "indices of others": Video(np.zeros((2, 8, 8, 3), np.uint8), {"frames_indices": [9]}),
    "no frames": Video([]),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_object_as_a_document_is_scored_or_refused_in_words(name, check_document):
    check_document(ODD[name])


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_object_as_a_query_is_scored_or_refused_in_words(name, check_query):
    check_query(ODD[name])
