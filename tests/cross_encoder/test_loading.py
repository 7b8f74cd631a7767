"""What users see of loading: each source once, errors in place, what was cut, what is faster."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from mmrerank import Audio, CrossEncoder, MediaPolicy
from mmrerank.errors import MediaError, MediaNotFound
from mmrerank.media import load
from tests.media.making import clip_bytes, gradient, picture_bytes, sound_bytes
from tests.media.serving import WebServer


@pytest.fixture(scope="module")
def tiny() -> CrossEncoder:
    return CrossEncoder(device="cpu", media_policy=MediaPolicy(allow_private=True, timeout_s=5))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each part that is decoded from bytes."""
    parts: list[Any] = []
    decode: Any = vars(load)["decode_bytes"]

    def counted(part: Any, *rest: Any) -> Any:
        parts.append(part)
        return decode(part, *rest)

    monkeypatch.setattr(load, "decode_bytes", counted)
    return parts


def clip_with_sound(duration_s: float = 2.0) -> bytes:
    """A clip whose picture turns from red to green, with a tone."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        pictures: Any = output.add_stream("libx264", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        tone: Any = output.add_stream("aac", rate=16_000, layout="mono")
        for index in range(int(duration_s * 10)):
            pixels = np.full((48, 64, 3), (255 - 12 * index, 12 * index, 0), np.uint8)
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(pictures.encode())
        time = np.arange(int(16_000 * duration_s)) / 16_000
        wave = (0.5 * np.sin(2 * np.pi * 880 * time)).astype(np.float32)[None, :]
        frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
        frame.sample_rate = 16_000
        for part in av.AudioResampler("fltp", "mono", 16_000, 1_024).resample(frame):
            output.mux(tone.encode(part))
        output.mux(tone.encode())
    return file.getvalue()


def test_picture_of_a_hundred_documents_is_decoded_once(tiny, decoded, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(picture_bytes(gradient(40, 30)))
    scores = tiny.predict([("a query", {"text": f"{i}", "image": str(path)}) for i in range(100)])
    assert len(scores) == 100
    assert len(decoded) == 1


def test_equal_bytes_under_two_names_are_decoded_once(tiny, decoded, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(picture_bytes(gradient(41, 30)))
    tiny.rank("a query", [str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert len(decoded) == 1


def test_url_of_many_documents_is_asked_once(tiny, web: WebServer):
    url = web.add("/a.png", picture_bytes(gradient(42, 30)))
    tiny.rank("a query", [{"text": str(i), "image": url} for i in range(20)])
    assert web.asked == ["/a.png"]


def test_url_that_fails_is_asked_once_and_named_in_each_document(tiny, web: WebServer):
    url = web.add("/gone.png", status=404)
    ranking = tiny.rank("a query", [url, "text", url], on_error="record")
    assert web.asked == ["/gone.png"]
    errors = [entry.get("error") for entry in sorted(ranking, key=lambda e: e["corpus_id"])]
    assert errors[0].startswith("MediaNotFound: documents[0].image: ")
    assert errors[1] is None
    assert errors[2].startswith("MediaNotFound: documents[2].image: ")


def test_first_bad_document_in_order_is_raised(tiny, web: WebServer):
    slow, gone = web.add("/slow.png", status=410), web.add("/gone.png", status=404)
    with pytest.raises(MediaNotFound, match=r"documents\[1\]\.image.*answered 410"):
        tiny.rank("a query", ["text", slow, gone])


def test_picture_object_that_changes_between_calls_is_read_anew(tiny):
    picture = np.zeros((32, 32, 3), np.uint8)
    first = tiny.predict([("red circle", picture)])
    picture[:, :, 0] = 255
    assert tiny.predict([("red circle", picture)])[0] != first[0]


def test_sound_longer_than_the_model_hears_is_told(tiny, caplog):
    long = np.sin(np.arange(16_000 * 40) / 10).astype(np.float32)
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        _, details = tiny.predict(
            [("a tone", Audio(long, sampling_rate=16_000)), ("a tone", "text")],
            return_details=True,
        )
    assert details[0].cut_s == pytest.approx(10.0)
    assert (details[0].truncated, details[1].truncated) == (True, False)
    assert sum("were cut" in record.getMessage() for record in caplog.records) == 1


@pytest.fixture(scope="module")
def hearing() -> CrossEncoder:
    return CrossEncoder(device="cpu", sound_of_video=True)


@pytest.fixture(scope="module")
def fast() -> CrossEncoder:
    return CrossEncoder(device="cpu", fast_decode=True)


def test_sound_of_a_clip_is_scored_with_it(hearing, tiny):
    clip = clip_with_sound()
    both = tiny.predict([("a tone", {"video": clip, "audio": clip})])
    assert hearing.predict([("a tone", {"video": clip})]) == pytest.approx(both, abs=1e-5)
    assert tiny.predict([("a tone", {"video": clip})]) != pytest.approx(both, abs=1e-5)


def test_clip_without_sound_is_scored_alone(hearing, tiny):
    clip = clip_bytes(12)
    alone = tiny.predict([("a clip", {"video": clip})])
    assert hearing.predict([("a clip", {"video": clip})]) == pytest.approx(alone, abs=1e-6)


def test_setting_of_the_sound_is_shown_with_its_source(hearing):
    assert "sound_of_video: user" in hearing.describe()["sources"]["budget"]


@pytest.mark.parametrize("name", ["rocket", "cat", "coffee", "astronaut", "flower", "temple"])
@pytest.mark.parametrize("size", [(3_000, 2_000), (2_251, 1_507), (1_601, 2_399)])
def test_fast_decoding_moves_the_score_a_little(tiny, fast, name, size):
    photo = Image.open(Path(f"fixtures/media/{name}.jpg")).resize(size)
    pair = [(f"a {name}", {"image": picture_bytes(photo, "JPEG", quality=92)})]
    exact, quick = tiny.predict(pair)[0], fast.predict(pair)[0]
    assert abs(exact - quick) <= 1e-2


def test_fast_decoding_shrinks_what_is_much_larger_than_the_model_takes(fast, tiny):
    photo = Image.open(Path("fixtures/media/rocket.jpg")).resize((3_000, 2_000))
    pair = [("a rocket", {"image": picture_bytes(photo, "JPEG", quality=95)})]
    assert fast.predict(pair)[0] != tiny.predict(pair)[0]


def test_error_within_a_pair_of_many_media_names_the_part(tiny):
    good, bad = picture_bytes(gradient()), b"\x89PNG\r\n\x1a\n" + bytes(40)
    with pytest.raises(MediaError, match=r"documents\[0\]\.image\[1\]"):
        tiny.rank("a query", [{"image": [good, bad, good]}])


def test_scores_do_not_depend_on_what_is_prepared_at_the_same_time(tiny):
    documents: list[Any] = [
        {"image": picture_bytes(gradient(30 + i, 20))} if i % 2 else f"text {i}" for i in range(30)
    ]
    documents.append({"audio": sound_bytes(0.5)})
    together = tiny.predict([("a query", document) for document in documents])
    alone = [tiny.predict([("a query", document)])[0] for document in documents]
    np.testing.assert_allclose(together, alone, atol=1e-5)
