"""Broken and lying files give a MediaError or a medium, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mmrerank.errors import MediaError, MediaTooLarge, MediaUnreadable
from mmrerank.inputs import parse_document
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.media.audio import samples_by_pyav
from mmrerank.types import Audio, DecodeBudget, Document, Image, LoadedDocument, Video
from tests.media.making import clip_bytes, gradient, pdf_bytes, picture_bytes, sound_bytes

HOSTILE = Path(__file__).parents[2] / "fixtures" / "hostile"


def load(document):
    (loaded,) = load_documents([document], DecodeBudget(), MediaPolicy(), names=["document"])
    return loaded


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("broken.pdf", MediaUnreadable, "no PDF that can be read"),
        ("claims_50000x50000.png", MediaTooLarge, "50000x50000 px is 2,500,000,000 pixels"),
        ("empty.wav", MediaUnreadable, "it is empty"),
        ("header_only.wav", MediaUnreadable, "without samples"),
        ("page.html.png", MediaUnreadable, "no picture of a known format"),
        ("text_named.mp4", MediaUnreadable, "no clip that can be decoded"),
        ("truncated.jpg", MediaUnreadable, "truncated"),
        ("truncated.mp4", MediaUnreadable, "no clip that can be decoded"),
    ],
)
def test_hostile_fixture_gives_its_error(name, error, message):
    found = load(parse_document(HOSTILE / name))
    assert type(found) is error
    assert str(found).startswith("document.")
    assert message in str(found)


PARTS = {
    "jpeg": (Image, lambda: picture_bytes(gradient(), "JPEG")),
    "png": (Image, lambda: picture_bytes(gradient(), "PNG")),
    "gif": (Image, lambda: picture_bytes(gradient(), "GIF")),
    "webp": (Image, lambda: picture_bytes(gradient(), "WEBP")),
    "tiff": (Image, lambda: picture_bytes(gradient(), "TIFF")),
    "bmp": (Image, lambda: picture_bytes(gradient(), "BMP")),
    "pdf": (Image, lambda: pdf_bytes((20, 20))),
    "wav": (Audio, lambda: sound_bytes(0.1)),
    "mp3": (Audio, lambda: sound_bytes(0.1, rate=44_100, codec="libmp3lame", container="mp3")),
    "flac": (Audio, lambda: sound_bytes(0.1, codec="flac", container="flac")),
    "mp4": (Video, lambda: clip_bytes(4)),
    "webm": (Video, lambda: clip_bytes(4, codec="libvpx-vp9", container="webm")),
    "avi": (Video, lambda: clip_bytes(4, codec="mpeg4", container="avi")),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut off somewhere, or with some bits flipped, more often in the header."""
    if chance.random() < 0.3:
        return data[: chance.randrange(1, len(data))]
    flipped = bytearray(data)
    for _ in range(chance.choice([1, 5, 50])):
        flipped[chance.randrange(chance.choice([40, len(data)]))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


@pytest.mark.parametrize("kind", sorted(PARTS))
def test_damaged_file_loads_or_gives_a_media_error(kind):
    part, make = PARTS[kind]
    data, chance = make(), random.Random(kind)
    assert isinstance(load(Document((part(data),))), LoadedDocument)
    for _ in range(40):
        found = load(Document((part(damaged(data, chance)),)))
        assert isinstance(found, (LoadedDocument, MediaError))
        if isinstance(found, MediaError):
            assert len(str(found)) < 1_000


def test_sound_that_claims_33_channels_does_not_crash_pyav():
    # Planar frames of more than eight channels read past PyAV's planes.
    data = bytearray(sound_bytes(0.1))
    data[22:24] = (33).to_bytes(2, "little")
    data[32:34] = (66).to_bytes(2, "little")
    samples, _ = samples_by_pyav(bytes(data), 1.0, MediaPolicy())
    assert samples.shape[0] == 33
