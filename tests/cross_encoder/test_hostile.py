"""Objects that look right and are not: an error that names its place and costs no other pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmrerank import CrossEncoder
from mmrerank.errors import EngineError, InputError, MediaUnreadable
from tests.cross_encoder._samples import DOCUMENTS, PAIRS, QUERY, UNCLOSED_TEMPLATES
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES
THIN = Image.new("RGB", (1, 300))


@pytest.mark.parametrize("num_samples", [1, 40, 640])
def test_sound_too_short_for_a_token_is_recorded_in_its_place(num_samples: int) -> None:
    sound = {"array": np.zeros(num_samples, np.float32), "sampling_rate": 16_000}
    ranking = CrossEncoder(device="cpu").rank("a", ["x", {"audio": sound}], on_error="record")
    assert [entry["corpus_id"] for entry in ranking] == [0, 1]
    assert "documents[1]: this audio" in ranking[1]["error"]
    assert "too short" in ranking[1]["error"]


@pytest.mark.parametrize("kind", ["bert", "qwen3"])
def test_half_a_character_is_recorded_in_its_place(kind: str, ours_of: ModelOf) -> None:
    model = ours_of(kind)
    scores = model.predict([PAIRS[0], ("a", "\ud800"), ("\udc80", "b")], on_error="record")
    assert [math.isnan(score) for score in scores] == [False, True, True]
    with pytest.raises(InputError, match=r"documents\[1\]: .* half a character"):
        model.rank("a", ["x", "\ud800"])
    with pytest.raises(InputError, match="half a character"):
        model.rank("a", ["x"], instruction="\udc80")


def test_picture_that_the_processor_refuses_is_named(ours_of: ModelOf) -> None:
    model = ours_of("qwen3-vl")
    with pytest.raises(MediaUnreadable, match=r"documents\[1\]: .*1x300 px"):
        model.rank("a", ["x", THIN])
    with pytest.raises(MediaUnreadable, match=r"query: .*1x300 px"):
        model.rank(THIN, ["x"], on_error="record")


@pytest.mark.parametrize("method", ["predict", "rank"])
def test_unknown_word_for_on_error_is_refused(method: str, ours_of: ModelOf) -> None:
    given: tuple[Any, ...] = (PAIRS,) if method == "predict" else (QUERY, DOCUMENTS)
    with pytest.raises(InputError, match="on_error='ignore'"):
        getattr(ours_of("bert"), method)(*given, on_error="ignore")


def test_limit_set_on_the_tokenizer_counts_as_in_the_peer(
    folder_of: FolderOf, peer_of: ModelOf
) -> None:
    from sentence_transformers import CrossEncoder as Peer

    ours, theirs = (cls(str(folder_of("bert")), device="cpu") for cls in (CrossEncoder, Peer))
    pairs = [("a query", "bread is baked from flour " * 20)]
    before = ours.predict(pairs)
    for model in (ours, theirs):
        model.tokenizer.model_max_length = 12
    assert np.abs(ours.predict(pairs) - theirs.predict(pairs)).max() <= 1e-5
    assert np.abs(ours.predict(pairs) - before).max() > 1e-3


def test_device_that_is_not_there_is_named(folder_of: FolderOf) -> None:
    with pytest.raises(EngineError, match="device='nowhere'"):
        CrossEncoder(str(folder_of("bert")), device="nowhere")
