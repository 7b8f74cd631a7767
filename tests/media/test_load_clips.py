"""Whole documents: the sound of clips, and decoders that raise what nobody expects."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mmrerank.errors import MediaUnreadable
from mmrerank.media import MediaCache, MediaPolicy, decode, image
from mmrerank.types import Audio, DecodeBudget, Document, Image, LoadedDocument, Text, Video
from tests.media.making import clip_bytes, gradient, picture_bytes
from tests.media.test_load import PNG, load, media_of

# ---------------------------------------------------------------- the sound of clips

BUNNY = Path(__file__).parents[2] / "fixtures" / "media" / "bunny.mp4"  # has a sound track
WITH_SOUND = DecodeBudget(sound_of_video=True)


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "uri"])
def test_sound_of_a_clip_follows_it_where_the_budget_wants_it(kind):
    data = BUNNY.read_bytes()
    source = {"path": BUNNY, "bytes": data, "file": io.BytesIO(data), "uri": BUNNY.as_uri()}[kind]
    document = Document((Video(source), Text("after")))
    (loaded,) = load(document, budget=WITH_SOUND)
    assert [part.modality for part in loaded.parts] == ["video", "audio", "text"]
    (alone,) = load(document)
    assert [part.modality for part in alone.parts] == ["video", "text"]


def test_sound_of_a_clip_is_the_medium_that_an_audio_of_its_bytes_is():
    data = BUNNY.read_bytes()
    clip, sound = load(Video(data), Audio(data), budget=WITH_SOUND, cache=MediaCache())
    assert media_of(clip)[1] is media_of(sound)[0]


def test_clip_without_sound_and_frames_give_none():
    frames = [gradient(), gradient()]
    for source in (clip_bytes(4), frames, picture_bytes(gradient(), "GIF")):
        (loaded,) = load(Video(source), budget=WITH_SOUND)
        assert [part.modality for part in loaded.parts] == ["video"]


def test_clip_with_sound_is_read_once(web):
    url = web.add("/a.mp4", BUNNY.read_bytes())
    policy = MediaPolicy(allow_private=True)
    loaded = load(*[Video(url)] * 3, policy=policy, budget=WITH_SOUND)
    assert [len(media_of(entry)) for entry in loaded] == [2, 2, 2]
    assert web.asked == ["/a.mp4"]


def test_sound_track_that_is_broken_is_an_error_and_no_silence(monkeypatch):
    def fail(*rest):
        raise MediaUnreadable("no sound that can be decoded: broken.")

    monkeypatch.setattr(decode, "decode_sound_track", fail)
    monkeypatch.setattr("mmrerank.media.load.decode_sound_track", fail)
    (error,) = load(Video(BUNNY), budget=WITH_SOUND)
    assert isinstance(error, MediaUnreadable)
    assert str(error).startswith("documents[0].video: ")


# ---------------------------------------------------------------- what is raised within


class Panic(BaseException):
    """As libraries written in Rust raise it."""


@pytest.mark.parametrize("error", [RuntimeError("odd"), KeyError("key"), Panic("odd")])
def test_whatever_a_decoder_raises_costs_its_document_only(error, monkeypatch):
    real = image.decode_image

    def raise_for_gif(data, budget, policy):
        if data.startswith(b"GIF"):
            raise error
        return real(data, budget, policy)

    monkeypatch.setattr(decode, "decode_image", raise_for_gif)
    broken, fine = load(Image(picture_bytes(gradient(), "GIF")), Image(PNG))
    assert isinstance(broken, MediaUnreadable)
    assert "it is damaged" in str(broken) or "odd" in str(broken)
    assert isinstance(fine, LoadedDocument)


def test_file_object_that_raises_anything_costs_its_document_only():
    class Odd(io.BytesIO):
        def read(self, *size):
            raise ZeroDivisionError("odd")

    broken, fine = load(Document((Image(Odd(PNG)),)), Image(PNG))
    assert isinstance(broken, MediaUnreadable)
    assert isinstance(fine, LoadedDocument)


@pytest.mark.parametrize("num_documents", [1, 4])
def test_interrupt_at_the_keyboard_goes_through(num_documents, monkeypatch):
    def interrupt(*rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(decode, "decode_image", interrupt)
    pictures = [Image(picture_bytes(gradient(width))) for width in range(5, 5 + num_documents)]
    with pytest.raises(KeyboardInterrupt):
        load(*pictures)
