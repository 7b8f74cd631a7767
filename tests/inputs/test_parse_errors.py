"""What is refused says where it stood, what it was and what to do."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from mmrerank.errors import AmbiguousInput, InputError, UnsupportedInput
from mmrerank.inputs import parse_document

WHERE = "documents[3]"


def refused(value, **options):
    with pytest.raises(InputError) as caught:
        parse_document(value, where=WHERE, **options)
    assert str(caught.value).startswith(WHERE)
    assert len(str(caught.value)) < 1_000
    return caught.value


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "None"),
        (3, "int 3"),
        (2.5, "float 2.5"),
        (float("nan"), "float nan"),
        ((1, 2, 3), "tuple"),
        (("a", "b"), "tuple"),
        ({"a", "b"}, "set"),
        (object, "type"),
        (np.float32(1), "float32"),
        (np.zeros(()), "0 dimensions"),
        (np.zeros((1,) * 6), "6 dimensions"),
        (iter(["a"]), "list_iterator"),
    ],
)
def test_type_that_no_part_takes_is_named(value, named):
    error = refused(value)
    assert isinstance(error, UnsupportedInput)
    assert isinstance(error, TypeError)
    assert named in str(error)


def test_unsupported_type_lists_what_is_accepted():
    assert "PIL image, numpy array, torch tensor" in str(refused(None))


@pytest.mark.parametrize("value", [{}, [], {"text": None}, {"image": []}, b"", {"image": ""}])
def test_empty_things_are_refused(value):
    assert type(refused(value)) is InputError


def test_unknown_key_names_the_nearest_one():
    assert "unknown key 'imagee' (did you mean 'image'?)" in str(refused({"imagee": "a.png"}))


def test_misplaced_metadata_is_told_where_it_belongs():
    error = refused({"audio": "a.wav", "sampling_rate": 8_000})
    assert '{"audio": {"array": samples, "sampling_rate": 16000}}' in str(error)


def test_array_without_its_kind_lists_both_ways():
    message = str(refused({"array": np.zeros(3)}))
    assert "sampling_rate" in message
    assert "video_metadata" in message


def test_unknown_content_type_names_the_nearest_one():
    error = refused([{"type": "image_ur", "image_url": "x"}])
    assert str(error).startswith("documents[3][0]: unknown type 'image_ur' (did you mean")


def test_url_without_extension_names_the_parts_to_wrap_it_in():
    error = refused("https://user:secret@host/page?token=abc")
    assert isinstance(error, AmbiguousInput)
    assert "mmrerank.Image(...)" in str(error)
    assert "mmrerank.Text(...)" in str(error)
    assert "abc" not in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("value", [b"no magic at all", io.BytesIO(b"no magic at all")])
def test_bytes_of_no_known_kind_are_ambiguous(value):
    assert isinstance(refused(value), AmbiguousInput)


def test_file_opened_as_text_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("x")
    with path.open() as file:
        assert "mode 'rb'" in str(refused(file))


def test_closed_file_is_refused():
    file = io.BytesIO(b"x")
    file.close()
    assert "closed" in str(refused(file))


def test_list_inside_a_list_is_refused_with_its_place():
    assert str(refused(["a", ["b"]])).startswith("documents[3][1]: a list inside")


def test_object_under_the_wrong_key_is_refused():
    picture = PILImage.new("RGB", (2, 2))
    assert "no source of audio" in str(refused({"audio": picture}))
    assert "text is a str, got int 3" in str(refused({"text": ["a", 3]}))


@pytest.mark.parametrize("page", [0, -1, "2", 1.5])
def test_page_that_cannot_be_is_refused(page):
    assert "counted from 1" in str(refused({"pdf": "a.pdf", "page": page}))


@pytest.mark.parametrize("rate", [0, -8_000, "fast", [1]])
def test_sampling_rate_that_cannot_be_is_refused(rate):
    assert "sampling_rate" in str(refused({"array": np.zeros(3), "sampling_rate": rate}))


def test_broken_base64_under_a_key_is_refused():
    value = {"type": "input_audio", "input_audio": {"data": "not base64!", "format": "wav"}}
    assert "no base64" in str(refused([value]))


def test_system_message_in_a_document_is_refused():
    assert "prompt=" in str(refused([{"role": "system", "content": "x"}]))


KEYS = (
    *("text", "image", "audio", "video", "pdf", "page", "content", "type", "role", "x"),
    *("array", "url", "bytes", "path", "data", "sampling_rate", "video_metadata"),
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(junk)
def test_any_nesting_of_plain_values_parses_or_gives_an_input_error(value):
    try:
        document = parse_document(value, where=WHERE)
    except InputError as error:
        assert str(error).startswith(WHERE)  # noqa: PT017 - the other outcome is as good
    else:
        assert len(document.parts) > 0
