"""Local sounds and clips are read as they are needed, under the same rules as all the rest."""

from __future__ import annotations

import tracemalloc

import pytest

from mmrerank.errors import MediaNotFound, MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.media.encoded import Reading, digest_encoded
from mmrerank.types import (
    Audio,
    DecodeBudget,
    DecodedAudio,
    Document,
    Image,
    LoadedDocument,
    LoadedMedia,
    Video,
)
from tests.media.making import clip_bytes, gradient, picture_bytes, sound_bytes


def load(part, policy=None):
    (found,) = load_documents(
        [Document((part,))], DecodeBudget(), policy or MediaPolicy(), names=["document"]
    )
    return found


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(clip_bytes())
    return path


def test_path_url_and_bytes_of_a_clip_are_one_medium(clip):
    loaded = [load(Video(source)) for source in (clip, clip.as_uri(), clip.read_bytes())]
    assert all(isinstance(entry, LoadedDocument) for entry in loaded)
    assert len({entry.parts[0].key for entry in loaded}) == 1


def test_large_local_sound_is_not_read_into_memory(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(sound_bytes(600.0, rate=48_000))
    assert path.stat().st_size > 100_000_000
    tracemalloc.start()
    loaded = load(Audio(path))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(loaded, LoadedDocument)
    (sound,) = loaded.parts
    assert isinstance(sound, LoadedMedia)
    assert isinstance(sound.media, DecodedAudio)
    assert sound.media.cut_s == pytest.approx(570, abs=0.1)
    assert most < 50_000_000


def test_picture_is_read_whole_and_a_clip_stays_a_file(clip, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(picture_bytes(gradient()))
    with Reading(Image(picture), MediaPolicy()) as reading:
        assert isinstance(reading.data, bytes)
    with Reading(Video(clip), MediaPolicy()) as reading:
        file = reading.data
        assert not isinstance(file, bytes)
        assert digest_encoded(file, "x") == digest_encoded(clip.read_bytes(), "x")
        assert reading.data is file
    assert file.closed


@pytest.mark.parametrize("as_url", [False, True])
@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"allow_local_files": False}, MediaRefused),
        ({"directories": ["elsewhere"]}, MediaRefused),
        ({"formats": ["png"]}, MediaRefused),
        ({"max_bytes": 100}, MediaTooLarge),
    ],
)
def test_policy_holds_for_files_that_are_not_read_whole(limits, error, as_url, clip):
    found = load(Video(clip.as_uri() if as_url else clip), MediaPolicy(**limits))
    assert type(found) is error


def test_file_url_needs_its_scheme(clip):
    found = load(Video(clip.as_uri()), MediaPolicy(schemes=("https",)))
    assert type(found) is MediaRefused


def test_missing_empty_and_unknown_files_say_so(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_bytes(b"a text that was renamed")
    assert type(load(Video(tmp_path / "none.mp4"))) is MediaNotFound
    assert "it is empty" in str(load(Video(tmp_path / "empty.mp4")))
    assert type(load(Video(tmp_path / "text.mp4"))) is MediaUnreadable
