"""The string rule and the magic bytes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmrerank.inputs.modality import (
    decode_base64_medium,
    decode_data_uri,
    is_data_uri,
    modality_of_string,
)
from mmrerank.inputs.sniff import sniff_bytes

PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat.jpg", "image"),
        ("CAT.JPEG", "image"),
        ("./photos/my cat.tiff", "image"),
        ("C:\\photos\\my cat.png", "image"),
        ("talk.opus", "audio"),
        ("/data/talk.m4a", "audio"),
        ("clip.webm", "video"),
        ("report.pdf", "pdf"),
        ("https://host/a.png", "image"),
        ("HTTPS://host/a.png?size=2#x", "image"),
        ("s3://bucket/clip.mp4", "video"),
        ("hf://datasets/name/set/a.png", "image"),
        ("gs://bucket/report.pdf", "pdf"),
        ("az://container/talk.wav", "audio"),
        ("file:///tmp/talk.wav", "audio"),
        ("https://youtu.be/abc", "video"),
        ("https://www.youtube.com/watch?v=abc", "video"),
        ("data:image/png;base64,AAAA", "image"),
        ("data:application/pdf;base64,AAAA", "pdf"),
        ("data:text/plain,hello", "text"),
    ],
)
def test_string_that_names_a_medium_is_of_its_modality(text, expected):
    assert modality_of_string(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a plain sentence.",
        "what does video.mp4 show",
        "see the cat.jpg",
        ".mp4",
        "mp4 or .webm/.mp4",
        "drawing.svg",
        "notes.txt",
        "first line\nphotos/cat.jpg",
        "look at https://host/cat.jpg",
        "word " * 100 + "photos/cat.jpg",
        "data: the new oil, they say",
        "https://[[broken",
        "s3://bucket/key",
    ],
)
def test_string_that_only_mentions_a_medium_is_text(text):
    assert modality_of_string(text) == "text"


@pytest.mark.parametrize("text", ["https://host/page", "http://host/", "https://host/a.svg"])
def test_url_without_media_extension_is_unclear_to_a_media_model_and_text_to_a_text_model(text):
    assert modality_of_string(text) is None
    assert modality_of_string(text, takes_media=False) == "text"


def test_sentence_that_ends_in_a_path_is_text_to_a_text_model():
    assert modality_of_string("the file is photos/cat.jpg", takes_media=False) == "text"
    assert modality_of_string("photos/cat.jpg", takes_media=False) == "image"


def test_data_uri_of_unknown_type_is_unclear():
    assert modality_of_string("data:application/json,{}") is None
    assert modality_of_string("data:image/svg+xml,<svg/>") is None


def test_data_uri_without_a_telling_type_is_read_by_its_bytes():
    encoded = base64.b64encode(PNG_HEAD).decode()
    assert modality_of_string(f"data:application/octet-stream;base64,{encoded}") == "image"
    assert modality_of_string(f"data:;base64,{encoded}") == "image"


@pytest.mark.parametrize("alphabet", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_picture_is_an_image_whatever_its_alphabet_and_padding(alphabet):
    data = PNG_HEAD + bytes(range(256))
    text = alphabet(data).decode()
    assert modality_of_string(text) == "image"
    assert decode_base64_medium(text) == data
    assert decode_base64_medium(text.rstrip("=")) == data
    assert decode_base64_medium(text[:76] + "\n" + text[76:] + "\n") == data


def test_base64_of_anything_else_stays_text():
    assert modality_of_string(base64.b64encode(b"only words, " * 20).decode()) == "text"
    assert modality_of_string("a" * 200) == "text"
    assert modality_of_string(base64.b64encode(PNG_HEAD).decode()) == "text"  # under 64 characters


def test_data_uri_percent_and_base64_decode():
    assert decode_data_uri("data:text/plain,a%20b") == b"a b"
    assert decode_data_uri("data:text/plain;charset=utf-8;base64,aGk") == b"hi"
    with pytest.raises(ValueError, match="other characters"):
        decode_data_uri("data:image/png;base64,!!!!")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (PNG_HEAD, "image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image"),
        (b"GIF89a\1\0\1\0", "image"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image"),
        (b"II*\0\x08\0\0\0", "image"),
        (b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "image"),
        (b"\0\0\0\x20ftypavif", "image"),
        (b"II+\0\x08\0\0\0", "image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "image"),
        (b"\0\0\0\0G@\0\x10" + bytes(188) + b"G", "video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        (b"ID3\4\0\0", "audio"),
        (b"\xff\xfb\x90\x44", "audio"),
        (b"\xff\xf1\x50\x80", "audio"),
        (b"OggS\0\2", "audio"),
        (b"fLaC\0\0\0\x22", "audio"),
        (b"\0\0\0\x20ftypM4A ", "audio"),
        (b"\0\0\0\x20ftypisom", "video"),
        (b"\0\0\0\x14ftypqt  ", "video"),
        (b"\x1aE\xdf\xa3\x01", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"FLV\x01\x05", "video"),
        (b"%PDF-1.7\n", "pdf"),
        (b"", None),
        (b"BM is a company", None),
        (b"\xff\xff\xff\xff", None),
        (b"just some text", None),
    ],
)
def test_sniff_knows_a_file_by_its_first_bytes(head, expected):
    assert sniff_bytes(head) == expected


@given(st.text())
def test_any_string_has_one_answer_and_raises_nothing(text):
    assert modality_of_string(text) in ("text", "image", "audio", "video", "pdf", None)


@given(st.text(), st.sampled_from(["https://", "data:", "data:image/png;base64,", "s3://", "/"]))
def test_any_string_with_a_telling_start_raises_nothing(text, start):
    assert modality_of_string(start + text) in ("text", "image", "audio", "video", "pdf", None)
    if is_data_uri(start + text):
        assert (start + text).startswith("data:")


@given(st.binary(max_size=300))
def test_sniff_of_any_bytes_raises_nothing(head):
    assert sniff_bytes(head) in ("image", "audio", "video", "pdf", None)


@given(st.from_regex(r"[a-z][a-z ,']{0,80}", fullmatch=True))
def test_words_are_text(text):
    assert modality_of_string(text) == "text"
