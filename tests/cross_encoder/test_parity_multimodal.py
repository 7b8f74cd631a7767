"""Scores of pictures, clips and mixes equal those of sentence-transformers on the same folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.cross_encoder._samples import (
    PAIRS,
    UNCLOSED_TEMPLATES,
    assert_same_scores,
    clip,
    picture,
)
from tests.cross_encoder.conftest import FolderOf, ModelOf

pytestmark = UNCLOSED_TEMPLATES

MEDIA = Path(__file__).parents[2] / "fixtures" / "media"
RED, BLUE, WIDE = picture(64, 96, "red"), picture(96, 64, "blue"), picture(200, 40, "blue")
LAYOUTS = ["qwen3-vl", "qwen3-vl-legacy-json", "qwen3-vl-one-template"]
MIXED: dict[str, list[tuple[Any, Any]]] = {
    "text": list(PAIRS),
    "image document": [("a red square", RED), ("a red square", WIDE)],
    "image query": [(RED, "a red square"), (BLUE, "a blue square")],
    "image on both sides": [(RED, BLUE), (BLUE, RED)],
    "text then image": [("a red square", {"text": "red", "image": RED})],
    "image then text": [("a red square", {"image": RED, "text": "red"})],
    "mix on both sides": [({"image": BLUE, "text": "blue"}, {"text": "red", "image": RED})],
    "several images": [("squares", {"image": [RED, BLUE, WIDE], "text": "three of them"})],
    "texts beside images": [("squares", RED), ("squares", "red"), ("squares", WIDE)],
    "array image": [("a red square", np.array(RED))],
    "channels-first array image": [("a red square", np.array(RED).transpose(2, 0, 1).copy())],
}
CLIPS: dict[str, list[tuple[Any, Any]]] = {
    "video document": [("red, then blue", clip(4))],
    "video query": [(clip(4), "red, then blue")],
    "video and text": [("red, then blue", {"video": clip(4), "text": "a film"})],
    "odd number of frames": [("red, then blue", clip(5))],
    "two frames": [("red, then blue", clip(2))],
    "long clip": [("red, then blue", clip(60, px=32))],
    "list of frames": [("red, then blue", {"video": [RED, RED]})],
    "channels-first frames": [("red", clip(4).transpose(0, 3, 1, 2).copy())],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", MIXED)
def test_predict_gives_the_peers_scores(
    case: str, layout: str, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    assert_same_scores(ours_of(layout).predict(MIXED[case]), peer_of(layout).predict(MIXED[case]))


@pytest.mark.parametrize("case", CLIPS)
def test_predict_of_a_clip_gives_the_peers_scores(
    case: str, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    ours, theirs = (
        model.predict(CLIPS[case]) for model in (ours_of("qwen3-vl"), peer_of("qwen3-vl"))
    )
    assert_same_scores(ours, theirs)


def test_prompt_beside_pictures_goes_where_the_peer_puts_it(
    ours_of: ModelOf, peer_of: ModelOf
) -> None:
    pairs = [("a red square", RED), (BLUE, {"text": "red", "image": RED})]
    ours = ours_of("qwen3-vl").predict(pairs, prompt="Find the colour.")
    assert np.abs(ours - ours_of("qwen3-vl").predict(pairs)).max() > 1e-3
    assert_same_scores(ours, peer_of("qwen3-vl").predict(pairs, prompt="Find the colour."))


def test_rank_of_mixed_documents_gives_the_peers_ranking(
    ours_of: ModelOf, peer_of: ModelOf
) -> None:
    documents: list[Any] = [RED, "a blue square", {"text": "red", "image": RED}, BLUE, WIDE]
    ours, theirs = (
        model.rank("a red square", documents)
        for model in (ours_of("qwen3-vl"), peer_of("qwen3-vl"))
    )
    assert [entry["corpus_id"] for entry in ours] == [entry["corpus_id"] for entry in theirs]
    assert_same_scores([e["score"] for e in ours], [e["score"] for e in theirs])


@pytest.mark.filterwarnings("ignore:Passing `min_pixels` and `max_pixels`:FutureWarning")
def test_pixel_limits_in_processor_kwargs_act_as_in_the_peer(folder_of: FolderOf) -> None:
    limits: dict[str, Any] = {"processor_kwargs": {"min_pixels": 4096, "max_pixels": 8192}}
    pairs = [("a red square", picture(320, 256, "red"))]
    ours, theirs = (
        library(str(folder_of("qwen3-vl")), device="cpu", **limits).predict(pairs)
        for library in (CrossEncoder, Peer)
    )
    assert_same_scores(ours, theirs)


@pytest.mark.filterwarnings("ignore:Passing `min_pixels` and `max_pixels`:FutureWarning")
@pytest.mark.parametrize("file", ["cat.jpg", "cat_exif6.jpg", "flower_cmyk.jpg", "coins.png"])
def test_picture_file_gives_the_peers_score(file: str, ours_of: ModelOf, peer_of: ModelOf) -> None:
    pairs = [("a cat on a bench", str(MEDIA / file))]
    small: dict[str, Any] = {
        "processing_kwargs": {"image": {"min_pixels": 4096, "max_pixels": 16384}}
    }
    ours, theirs = (m.predict(pairs, **small) for m in (ours_of("qwen3-vl"), peer_of("qwen3-vl")))
    assert_same_scores(ours, theirs)


@pytest.mark.usefixtures("torchcodec_loads")  # the peer reads clips by nothing else
def test_clip_file_gives_the_peers_score(ours_of: ModelOf, peer_of: ModelOf) -> None:
    pairs = [("a rabbit", str(MEDIA / "bunny.mp4"))]
    assert_same_scores(ours_of("qwen3-vl").predict(pairs), peer_of("qwen3-vl").predict(pairs))
