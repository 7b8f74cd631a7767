"""Every accepted form of a query or document."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from mmrerank.inputs import parse_document
from mmrerank.types import Audio, Document, Image, Text, Video


@pytest.fixture
def picture():
    return PILImage.new("RGB", (4, 3), (255, 0, 0))


@pytest.fixture
def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def described(document):
    """[(modality, source or text)], to compare whole documents."""
    return [(p.modality, p.text if isinstance(p, Text) else p.source) for p in document]


def only_part(value) -> Any:
    """The single part of a document."""
    (part,) = parse_document(value)
    return part


# ---------------------------------------------------------------- one object, one part


@pytest.mark.parametrize("text", ["", "words", "why is video.mp4 better than a .gif?", "\ud800 x"])
def test_plain_string_is_one_text(text):
    assert described(parse_document(text)) == [("text", text)]


def test_numpy_string_becomes_a_plain_str():
    part = only_part(np.str_("words"))
    assert type(part.text) is str


@pytest.mark.parametrize(
    ("source", "modality"),
    [("cat.jpg", "image"), ("a.mp3", "audio"), ("https://h/a.mp4", "video"), ("a.pdf", "image")],
)
def test_path_or_url_is_a_part_with_the_string_as_source(source, modality):
    assert described(parse_document(source)) == [(modality, source)]


def test_path_object_is_kept_even_with_spaces_in_its_name():
    path = Path("my pictures of cats.png")
    assert described(parse_document(path)) == [("image", path)]


def test_bytes_and_bytearray_are_told_by_their_first_bytes(png):
    assert described(parse_document(png)) == [("image", png)]
    assert described(parse_document(bytearray(png))) == [("image", png)]


def test_file_object_is_told_by_its_first_bytes_and_stays_where_it_was(png):
    file = io.BytesIO(png)
    assert described(parse_document(file)) == [("image", file)]
    assert file.tell() == 0


def test_file_object_written_and_not_rewound_is_told_too(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert file.tell() > 0
    assert described(parse_document(file)) == [("image", file)]


def test_open_file_with_unknown_bytes_is_told_by_its_name(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no known magic")
    with path.open("rb") as file:
        assert described(parse_document(file)) == [("video", file)]


def test_base64_of_a_picture_becomes_its_bytes(png):
    long_png = png + b"\0" * 40
    assert described(parse_document(base64.b64encode(long_png).decode())) == [("image", long_png)]


def test_data_uri_of_a_picture_is_kept_and_one_of_text_is_decoded():
    uri = "data:image/png;base64,AAAA"
    assert described(parse_document(uri)) == [("image", uri)]
    assert described(parse_document("data:text/plain;charset=latin-1,caf%E9")) == [("text", "café")]


def test_pil_image_is_an_image(picture):
    assert described(parse_document(picture)) == [("image", picture)]


@pytest.mark.parametrize(
    ("shape", "modality"),
    [
        ((8,), "audio"),
        ((2, 8), "audio"),
        ((3, 4, 5), "image"),
        ((2, 3, 4, 5), "video"),
        ((1, 2, 3, 4, 5), "video"),
    ],
)
def test_array_and_tensor_are_told_by_their_dimensions(shape, modality):
    import torch

    array = np.zeros(shape, np.float32)
    assert described(parse_document(array)) == [(modality, array)]
    tensor = torch.zeros(shape)
    assert described(parse_document(tensor)) == [(modality, tensor)]


def test_decoder_objects_are_told_by_their_class_name():
    audio = type("AudioDecoder", (), {"__module__": "torchcodec.decoders._audio_decoder"})
    video = type("VideoDecoder", (), {"__module__": "torchcodec.decoders._video_decoder"})
    wrapped = type("AudioDecoder", (audio,), {"__module__": "datasets.features._torchcodec"})
    assert [parse_document(kind()).modalities for kind in (audio, video, wrapped)] == [
        ("audio",),
        ("video",),
        ("audio",),
    ]


def test_document_comes_back_as_it_is():
    document = Document((Text("a"),))
    assert parse_document(document) is document


def test_part_is_taken_as_it_says():
    text = Text("cat.jpg")
    assert parse_document(text).parts == (text,)


# ---------------------------------------------------------------- lists and unified dicts


def test_list_holds_the_parts_of_one_document_in_order(picture):
    image = Image("b.png")
    document = parse_document(["text", picture, image, "a.wav", {"text": "last.mp4"}])
    assert described(document) == [
        ("text", "text"),
        ("image", picture),
        ("image", "b.png"),
        ("audio", "a.wav"),
        ("text", "last.mp4"),
    ]


def test_dict_order_is_the_order_of_parts():
    assert described(parse_document({"image": "a.png", "text": "cat.jpg"})) == [
        ("image", "a.png"),
        ("text", "cat.jpg"),
    ]


def test_dict_values_may_be_lists_and_none_means_absent():
    document = parse_document({"text": ["a", "b"], "image": None, "audio": ("x.wav", "y.wav")})
    assert described(document) == [
        ("text", "a"),
        ("text", "b"),
        ("audio", "x.wav"),
        ("audio", "y.wav"),
    ]


def test_key_of_a_dict_settles_what_a_string_is():
    document = parse_document({"image": "https://host/picture", "text": "https://host/page"})
    assert described(document) == [
        ("image", "https://host/picture"),
        ("text", "https://host/page"),
    ]


def test_frames_under_video_are_one_clip_and_paths_of_clips_are_several(picture):
    assert described(parse_document({"video": [picture, picture]})) == [
        ("video", [picture, picture])
    ]
    assert described(parse_document({"video": ["1.png", "2.png"]})) == [
        ("video", ["1.png", "2.png"])
    ]
    assert described(parse_document({"video": ["a.mp4", "b.mp4"]})) == [
        ("video", "a.mp4"),
        ("video", "b.mp4"),
    ]
    assert described(parse_document({"video": [[picture, picture], [picture]]})) == [
        ("video", [picture, picture]),
        ("video", [picture]),
    ]


def test_array_dicts_carry_sampling_rate_and_metadata():
    samples, frames = np.zeros(8), np.zeros((2, 4, 4, 3))
    for value in (
        {"array": samples, "sampling_rate": 8_000},
        {"audio": {"array": samples, "sampling_rate": 8_000}},
        {"path": "x.wav", "array": samples, "sampling_rate": 8_000},
    ):
        part = only_part(value)
        assert isinstance(part, Audio)
        assert part.source is samples
        assert part.sampling_rate == 8_000
    for value in (
        {"array": frames, "video_metadata": {"fps": 2.0, "duration": None}},
        {"video": {"array": frames, "video_metadata": {"fps": 2.0}}},
    ):
        part = only_part(value)
        assert isinstance(part, Video)
        assert part.source is frames
        assert part.metadata == {"fps": 2.0}


def test_list_of_numbers_under_audio_is_one_sound():
    part = only_part({"audio": [0.0, 0.5, -0.5]})
    assert part.source.tolist() == [0.0, 0.5, -0.5]


def test_pdf_pages_are_images_with_a_page():
    named, unnamed = only_part({"pdf": "a.pdf", "page": 2}), only_part({"pdf": "a.pdf"})
    assert (named.source, named.page) == ("a.pdf", 2)
    assert (unnamed.source, unnamed.page) == ("a.pdf", None)
    document = parse_document({"pdf": "a.pdf", "page": [1, 3], "text": "t"})
    assert [getattr(p, "page", p.modality) for p in document] == [1, 3, "text"]
    nested = only_part({"image": {"pdf": b"%PDF-", "page": 1}})
    assert (nested.source, nested.page) == (b"%PDF-", 1)


def test_stored_forms_of_datasets_are_read(png):
    assert described(parse_document({"image": {"bytes": png, "path": None}})) == [("image", png)]
    assert described(parse_document({"bytes": None, "path": "a.wav"})) == [("audio", "a.wav")]
    assert described(parse_document({"url": "https://h/a.mp4"})) == [("video", "https://h/a.mp4")]


# ---------------------------------------------------------------- chat messages


def test_content_items_of_all_dialects_are_read(png):
    encoded = base64.b64encode(b"RIFF").decode()
    document = parse_document(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "cat.jpg"},
                {"type": "input_text", "text": "more"},
                {"type": "image", "image": "a.png"},
                {"type": "image", "url": "https://h/x"},
                {"type": "image_url", "image_url": {"url": "https://h/y", "detail": "low"}},
                {"type": "image_url", "image_url": "https://h/z"},
                {"type": "audio_url", "audio_url": {"url": "https://h/s"}},
                {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}},
                {"type": "video_url", "video_url": {"url": "https://h/v"}},
                {"type": "video", "path": "v.bin"},
                "plain.jpg",
            ],
        }
    )
    assert described(document) == [
        ("text", "cat.jpg"),
        ("text", "more"),
        ("image", "a.png"),
        ("image", "https://h/x"),
        ("image", "https://h/y"),
        ("image", "https://h/z"),
        ("audio", "https://h/s"),
        ("audio", b"RIFF"),
        ("video", "https://h/v"),
        ("video", "v.bin"),
        ("image", "plain.jpg"),
    ]


def test_message_with_a_string_is_text_whatever_it_looks_like():
    assert described(parse_document({"role": "user", "content": "cat.jpg"})) == [
        ("text", "cat.jpg")
    ]


# ---------------------------------------------------------------- round trip, purity

sources = st.sampled_from(["a.png", b"bytes", "https://h/x", "words"])
parts = st.one_of(
    st.builds(Text, st.text(max_size=20)),
    st.builds(Image, sources, page=st.none() | st.integers(1, 9)),
    st.builds(Audio, sources, sampling_rate=st.none() | st.integers(1, 96_000)),
    st.builds(Video, sources, metadata=st.none() | st.just({"fps": 2.0})),
)


def facts(part):
    if isinstance(part, Text):
        return ("text", part.text)
    extra = {"image": "page", "audio": "sampling_rate", "video": "metadata"}[part.modality]
    return (part.modality, part.source, getattr(part, extra))


@given(st.lists(parts, min_size=1, max_size=6).map(tuple))
def test_what_to_dict_writes_both_readers_read_back(written):
    data = Document(written).to_dict()
    expected = [facts(part) for part in written]
    assert [facts(part) for part in Document.from_dict(data)] == expected
    assert [facts(part) for part in parse_document(data)] == expected


def test_import_of_inputs_and_media_loads_no_torch():
    code = (
        "import sys, mmrerank.inputs, mmrerank.media;"
        "print([m for m in ('torch', 'torchcodec', 'transformers') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
