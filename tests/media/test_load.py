"""Whole documents: order, errors by name, one decoding a source, the cache between calls."""

from __future__ import annotations

import copy
import io
import pickle
import threading

import numpy as np
import pytest

from mmrerank.errors import MediaError, MediaNotFound, MediaRefused, MediaUnreadable
from mmrerank.inputs import parse_document
from mmrerank.media import MediaCache, MediaPolicy, decode, image, load_documents
from mmrerank.types import (
    Audio,
    DecodeBudget,
    Document,
    Image,
    LoadedDocument,
    LoadedMedia,
    Text,
    Video,
)
from tests.media.making import clip_bytes, gradient, pdf_bytes, picture_bytes, sound_bytes

BUDGET = DecodeBudget()
PNG = picture_bytes(gradient())


def load(*values, policy=None, cache=None, budget=BUDGET):
    documents = [parse_document(value) for value in values]
    names = [f"documents[{index}]" for index in range(len(documents))]
    policy = policy or MediaPolicy()
    return load_documents(documents, budget, policy, names=names, cache=cache)


def media_of(loaded):
    """The LoadedMedia of one loaded document."""
    assert isinstance(loaded, LoadedDocument)
    return [part for part in loaded.parts if isinstance(part, LoadedMedia)]


@pytest.fixture
def decoded(monkeypatch):
    """Counts the pictures that are decoded."""
    counted = []
    lock = threading.Lock()
    real = image.decode_image

    def count(data, budget, policy):
        with lock:
            counted.append(len(data))
        return real(data, budget, policy)

    monkeypatch.setattr(decode, "decode_image", count)
    return counted


def test_parts_keep_their_order_and_texts_pass_through():
    (loaded,) = load(["before", PNG, "after", sound_bytes(0.1)])
    assert [getattr(p, "modality", None) for p in loaded.parts] == [
        *("text", "image", "text", "audio"),
    ]
    assert loaded.parts[0].text == "before"
    picture, sound = media_of(loaded)
    np.testing.assert_array_equal(picture.media.pixels, np.asarray(gradient()))
    assert sound.media.samples.shape == (1_600,)


def test_results_keep_the_order_of_documents():
    pictures = [picture_bytes(gradient(width, 5)) for width in range(1, 30)]
    loaded = load(*pictures)
    assert [media_of(entry)[0].media.pixels.shape[1] for entry in loaded] == list(range(1, 30))


def test_no_documents_and_texts_alone_need_no_loading():
    assert load() == []
    (loaded,) = load("words")
    assert [part.text for part in loaded.parts] == ["words"]


def test_every_kind_of_source_of_one_picture_gives_the_same_pixels(tmp_path, web):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    array = np.asarray(gradient())
    loaded = load(
        *(str(path), path, path.as_uri(), PNG, io.BytesIO(PNG), gradient(), array),
        web.add("/a.png", PNG),
        policy=MediaPolicy(allow_private=True),
    )
    assert len(loaded) == 8
    for entry in loaded:
        np.testing.assert_array_equal(media_of(entry)[0].media.pixels, array)
    assert len({media_of(entry)[0].key for entry in loaded}) == 3  # bytes, PIL, array


# ---------------------------------------------------------------- errors


def test_error_names_document_part_source_cause_and_remedy():
    fine, broken = load("text", {"text": "t", "image": "missing.png"})
    assert isinstance(fine, LoadedDocument)
    assert isinstance(broken, MediaNotFound)
    assert str(broken) == (
        "documents[1].image: 'missing.png': no such file. Check the path; "
        "wrap it in mmrerank.Text(...) if it is text."
    )


def test_error_counts_parts_where_there_are_several(tmp_path):
    (error,) = load({"image": [PNG, "missing.png"]})
    assert str(error).startswith("documents[0].image[1]: 'missing.png'")


def test_bad_document_leaves_the_others_whole():
    loaded = load(PNG, {"image": PNG[:60]}, ["x", PNG, "missing.wav"], PNG)
    assert [isinstance(entry, MediaError) for entry in loaded] == [False, True, True, False]


def test_one_broken_source_gives_each_of_its_documents_an_error_with_its_own_name(decoded):
    broken = PNG[:60]
    first, second = load({"image": broken}, {"image": broken})
    assert str(first).startswith("documents[0].image: 60 bytes: ")
    assert str(second).startswith("documents[1].image: 60 bytes: ")
    assert len(decoded) == 1


def test_error_keeps_its_cause():
    (error,) = load({"image": PNG[:60]})
    assert isinstance(error, MediaUnreadable)
    assert error.__cause__ is not None


def test_private_url_is_refused_by_default(web):
    (error,) = load(web.add("/a.png", PNG) + "?token=secret")
    assert isinstance(error, MediaRefused)
    assert "MediaPolicy(allow_private=True)" in str(error)
    assert "secret" not in str(error)
    assert web.asked == []


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Image(clip_bytes(4)), "it is no picture but a clip; wrap it in mmrerank.Video"),
        (Image(sound_bytes(0.1)), "it is no picture but a sound; wrap it in mmrerank.Audio"),
        (Image(PNG, page=1), "page=1 is given, but it is no PDF"),
        (Video(gradient()), "no source of video"),
        (Audio([gradient()]), "no source of audio"),
        (Image(3), "int 3 is no path"),
        (Video(np.zeros((2, 4, 4, 3)), metadata={"fps": "x"}), "video_metadata"),
        (Video([gradient(), gradient(3, 3)]), "frames of a clip have one size, got 3x3, 16x12"),
        (Video([gradient(), "missing.png"]), "frame 1: no such file"),
    ],
)
def test_part_of_the_wrong_kind_says_so(part, message):
    (error,) = load(Document((part,)))
    assert isinstance(error, MediaError)
    assert message in str(error)


def test_pdf_page_loads_as_a_picture_and_pages_differ_in_key():
    data = pdf_bytes((100, 50), (50, 100))
    first, second, unnamed = load({"pdf": data, "page": 1}, {"pdf": data, "page": 2}, {"pdf": data})
    assert media_of(first)[0].modality == "image"
    assert media_of(first)[0].media.pixels.shape == (512, 1_024, 3)
    assert media_of(first)[0].key != media_of(second)[0].key
    assert "name the one to score" in str(unnamed)


# ---------------------------------------------------------------- once a source


def test_same_source_is_read_and_decoded_once_a_call(web, decoded):
    url = web.add("/a.png", PNG)
    loaded = load(*[{"image": url}] * 20, policy=MediaPolicy(allow_private=True))
    assert len(decoded) == 1
    assert web.asked == ["/a.png"]
    assert len({id(media_of(entry)[0]) for entry in loaded}) == 1


def test_same_content_from_different_sources_is_decoded_once(tmp_path, decoded):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    loaded = load(path, bytes(PNG), io.BytesIO(PNG), io.BytesIO(PNG))
    assert len(decoded) == 1
    assert len({id(media_of(entry)[0]) for entry in loaded}) == 1


def test_key_tells_modality_content_budget_and_options_apart():
    gif = picture_bytes(gradient(), "GIF")
    samples = np.zeros(800)
    keys = [
        media_of(entry)[0].key
        for entry in (
            *load(Image(gif), Video(gif), Image(PNG)),
            *load(Audio(samples, 8_000), Audio(samples, 16_000)),
            *load(Image(gif), budget=DecodeBudget(fps=2.0)),
        )
    ]
    assert len(set(keys)) == 6
    assert keys[0].modality == "image"
    assert keys[1].modality == "video"


def test_cache_keeps_media_between_calls(decoded):
    cache = MediaCache()
    (first,), (second,) = load(PNG, cache=cache), load(bytearray(PNG), cache=cache)
    assert len(decoded) == 1
    assert media_of(first)[0] is media_of(second)[0]
    assert len(cache) == 1
    assert cache.num_bytes == 16 * 12 * 3
    cache.clear()
    load(PNG, cache=cache)
    assert len(decoded) == 2


def test_without_a_cache_nothing_is_kept_between_calls(decoded):
    load(PNG)
    load(PNG)
    assert len(decoded) == 2


def test_cache_is_bounded_by_bytes_and_drops_the_oldest(decoded):
    pictures = [picture_bytes(gradient(16, height)) for height in (10, 11, 12)]
    cache = MediaCache(max_bytes=16 * 3 * 24)
    for picture in pictures:
        load(picture, cache=cache)
    assert len(cache) == 2
    assert cache.num_bytes == 16 * 3 * 23
    load(pictures[2], cache=cache)
    assert len(decoded) == 3
    load(pictures[0], cache=cache)
    assert len(decoded) == 4


def test_object_altered_between_calls_is_seen():
    cache = MediaCache()
    picture, array = gradient(), np.zeros((4, 4, 3), np.uint8)
    before = [media_of(entry)[0].key for entry in load(picture, array, cache=cache)]
    picture.putpixel((0, 0), (9, 9, 9))
    array[0, 0] = 9
    after = [media_of(entry)[0] for entry in load(picture, array, cache=cache)]
    assert before[0] != after[0].key
    assert before[1] != after[1].key
    assert after[0].media.pixels[0, 0].tolist() == after[1].media.pixels[0, 0].tolist() == [9] * 3


def test_cache_copies_and_pickles_empty():
    cache = MediaCache(max_bytes=1_000_000)
    load(PNG, cache=cache)
    assert len(copy.deepcopy(cache)) == 0
    assert len(pickle.loads(pickle.dumps(cache))) == 0
    assert len(cache) == 1


def test_frames_of_a_clip_load_from_any_source_and_only_those_kept(decoded):
    frames = [gradient(), PNG, np.asarray(gradient()), *[PNG] * 17]
    clip = Video(frames, metadata={"frames_indices": range(20)})
    (loaded,) = load(clip, budget=DecodeBudget(max_frames=4))
    media = media_of(loaded)[0].media
    assert media.frame_indices == (0, 6, 13, 19)
    assert media.frames.shape == (4, 12, 16, 3)
    assert len(decoded) == 3


def test_many_threads_share_one_cache(decoded):
    cache = MediaCache()
    results = []

    def run():
        results.extend(load(PNG, gradient(), cache=cache))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 16
    assert len({media_of(entry)[0].key for entry in results}) == 2


def test_part_objects_need_no_parsing():
    (loaded,) = load(Document((Text("a"), Image(PNG), Text("b"), Image(PNG))))
    first, second = media_of(loaded)
    assert first is second
