"""Thinkers of Qwen2.5-Omni and Qwen3-Omni as yes/no rerankers of text, image, audio and video."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.checkpoints.omni import build_qwen2_5_omni, build_qwen3_omni
from tests.cross_encoder._samples import PAIRS, assert_same_scores, clip, picture
from tests.recipes import qwen_omni

FolderOf = Callable[[str], Path]
ModelOf = Callable[[str], Any]
BUILDERS = {"qwen2.5-omni": build_qwen2_5_omni, "qwen3-omni": build_qwen3_omni}
RED, BLUE = picture(70, 90, "red"), picture(200, 60, "blue")
RATE_HZ = 16_000


def tone(frequency_hz: float, length_s: float) -> np.ndarray:
    """Samples (length_s · 16,000,) float32."""
    times_s = np.arange(int(RATE_HZ * length_s)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


# Under a second, the tower's own window, a sound must not be padded to what stands beside it.
LOW, HIGH = tone(200, 0.4), tone(900, 2.3)
CASES: dict[str, list[tuple[Any, Any]]] = {
    "text": list(PAIRS),
    "image": [("a red square", RED), (BLUE, "a blue square"), (RED, BLUE)],
    "audio": [("a low tone", LOW), (HIGH, "a high tone"), (LOW, HIGH)],
    "video": [("red, then blue", clip(4)), (clip(2), "red, then blue")],
    "mixed": [
        ("a red square", {"text": "red", "image": RED}),
        ("a tone", {"image": RED, "audio": LOW, "text": "both"}),
        ({"text": "what", "audio": HIGH}, {"video": clip(4), "image": BLUE, "audio": LOW}),
    ],
}
each_family = pytest.mark.parametrize("family", BUILDERS)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """family or family:whole -> folder of the checkpoint."""
    root = tmp_path_factory.mktemp("omni")

    def build(name: str) -> Path:
        family, _, form = name.partition(":")
        folder = root / name.replace(":", "-")
        return BUILDERS[family](folder, form="whole" if form == "whole" else "thinker")

    return cache(build)


@pytest.fixture(scope="module")
def ours_of(folder_of: FolderOf) -> ModelOf:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def by_recipe(folder: Path, pairs: list[tuple[Any, Any]]) -> list[float]:
    return [sigmoid(qwen_omni.score(folder, *pair)) for pair in pairs]


@each_family
@pytest.mark.parametrize("case", CASES)
def test_thinker_scores_as_plain_transformers_does(
    family: str, case: str, folder_of: FolderOf, ours_of: ModelOf
) -> None:
    expected = by_recipe(folder_of(family), CASES[case])
    assert_same_scores(ours_of(family).predict(CASES[case]), expected)


@each_family
def test_scores_of_different_media_differ(family: str, ours_of: ModelOf) -> None:
    """Else the test above would not see a medium that is left out."""
    documents: list[Any] = [RED, BLUE, LOW, HIGH, clip(4), "red", ""]
    scores = ours_of(family).predict([("a red square", document) for document in documents])
    apart = np.abs(scores[:, None] - scores)[~np.eye(len(scores), dtype=bool)]
    assert apart.min() > 1e-3


@each_family
def test_instruction_stands_in_front_of_the_query(
    family: str, folder_of: FolderOf, ours_of: ModelOf
) -> None:
    pair = ("a low tone", LOW)
    expected = sigmoid(qwen_omni.score(folder_of(family), *pair, "Find the sound."))
    assert_same_scores(ours_of(family).predict(pair, instruction="Find the sound."), expected)


@each_family
def test_of_a_whole_checkpoint_the_thinker_is_loaded(
    family: str, folder_of: FolderOf, ours_of: ModelOf
) -> None:
    whole = ours_of(f"{family}:whole")
    assert whole.config.model_type.endswith("_thinker")
    pairs = [*CASES["text"][:2], *CASES["mixed"][:2]]
    assert_same_scores(whole.predict(pairs), by_recipe(folder_of(family), pairs))


@each_family
def test_thinker_that_nobody_trained_as_a_reranker_is_announced(
    family: str, folder_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        CrossEncoder(str(folder_of(family)), device="cpu")
    assert f"the processor '{family}' is a guess" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        CrossEncoder(str(folder_of(family)), device="cpu", processor=family)
    assert "is a guess" not in caplog.text


@each_family
def test_thinker_is_packed_and_its_scores_do_not_depend_on_company(
    family: str, ours_of: ModelOf
) -> None:
    model = ours_of(family)
    assert model.explain_plan([("a", "b")]).runner == "packed"
    pairs = [pair for case in CASES.values() for pair in case]
    alone = [float(model.predict(pair)) for pair in pairs]
    assert_same_scores(model.predict(pairs, batch_size=64), alone)
    assert_same_scores(model.predict(pairs[::-1], batch_size=2), alone[::-1])


@each_family
def test_scale_gives_logits_where_they_are_asked_for(family: str, folder_of: FolderOf) -> None:
    folder = folder_of(family)
    model = CrossEncoder(str(folder), device="cpu", processor=family, scale="logit")
    pairs = [CASES["text"][0], CASES["audio"][0]]
    expected = [qwen_omni.score(folder, *pair) for pair in pairs]
    assert_same_scores(model.predict(pairs), expected)


@each_family
@pytest.mark.parametrize("form", ["thinker", "whole"])
def test_saved_folder_scores_equally_here_and_in_the_peer(
    family: str, form: str, ours_of: ModelOf, tmp_path: Path
) -> None:
    model = ours_of(family if form == "thinker" else f"{family}:whole")
    model.save_pretrained(tmp_path)
    pairs = [CASES["text"][0], CASES["image"][0], CASES["audio"][0], CASES["video"][0]]
    expected = model.predict(pairs)
    assert_same_scores(CrossEncoder(str(tmp_path), device="cpu").predict(pairs), expected)
    peer = Peer(str(tmp_path), device="cpu")
    assert_same_scores([peer.predict([pair])[0] for pair in pairs], expected)


@each_family
def test_long_document_is_cut_beside_a_whole_medium(family: str, folder_of: FolderOf) -> None:
    folder = folder_of(family)
    model = CrossEncoder(str(folder), device="cpu", processor=family, max_length=200)
    pair = ("a low tone", {"audio": LOW, "text": "The train stops at every village. " * 60})
    _, detail = model.predict(pair, return_details=True)
    assert detail.truncated
    assert detail.num_tokens <= 200
