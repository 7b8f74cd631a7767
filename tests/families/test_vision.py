"""Rerankers that look at pictures: each scores as its vendor published it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, UnsupportedModality
from tests import checkpoints
from tests.cross_encoder._samples import assert_same_scores
from tests.families._pictures import picture
from tests.recipes import qwen_vision

CAT, ROCKET, COFFEE = picture("cat"), picture("rocket", 300), picture("coffee", 220)
QUERY = "Which animal is in the picture?"
PAGES: list[tuple[Any, Any]] = [(QUERY, CAT), (QUERY, ROCKET), ("a cup on a table", COFFEE)]
MIXED: list[tuple[Any, Any]] = [
    *PAGES,
    (QUERY, "A woman plays the violin in front of the station."),
    (ROCKET, "The museum of the town is closed on Monday."),
    (CAT, ROCKET),
    (QUERY, {"image": CAT, "text": "A cat looks at the camera."}),
    ({"image": COFFEE, "text": "warm drinks"}, COFFEE),
]
Recipe = Callable[..., float]
# Name of the published repository -> builder, recipe, pairs, name of the processor folder.
VENDORS: dict[str, tuple[Callable[[Path], Path], Recipe, list[tuple[Any, Any]], str]] = {
    "MonoQwen2-VL-v0.1": (
        checkpoints.build_monoqwen2_vl,
        qwen_vision.monoqwen2_vl,
        PAGES,
        "monoqwen2-vl",
    ),
    "lychee-rerank-mm": (
        checkpoints.build_lychee_rerank_mm,
        qwen_vision.lychee_rerank_mm,
        MIXED,
        "lychee-rerank-mm",
    ),
    "MultimodalQwenLogitReranker-3B": (
        checkpoints.build_multimodal_qwen_logit_reranker,
        qwen_vision.multimodal_qwen_logit_reranker,
        PAGES,
        "multimodal-qwen-logit-reranker",
    ),
}
ALL = pytest.mark.parametrize("name", list(VENDORS))


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("vision")
    return cache(lambda name: VENDORS[name][0](root / name))


@pytest.fixture(scope="module")
def model_of(folder_of: Callable[[str], Path]) -> Callable[[str], Any]:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


@pytest.fixture(scope="module")
def lighton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lighton")
    return checkpoints.build_lighton_rerank_pw(root / "LightOn-rerank-PW-0.8B")


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@ALL
def test_scores_are_those_of_the_published_recipe(
    name: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    _, recipe, pairs, family = VENDORS[name]
    assert model_of(name).describe()["family"] == family
    expected = [_sigmoid(recipe(folder_of(name), *pair)) for pair in pairs]
    assert_same_scores(model_of(name).predict(pairs), expected)


@ALL
def test_scale_logit_gives_the_difference_of_the_two_words(
    name: str, folder_of: Callable[[str], Path]
) -> None:
    _, recipe, pairs, _ = VENDORS[name]
    model = CrossEncoder(str(folder_of(name)), device="cpu", scale="logit")
    expected = [recipe(folder_of(name), *pair) for pair in pairs[:2]]
    assert_same_scores(model.predict(pairs[:2]), expected)


@ALL
def test_large_pictures_are_resized_as_the_recipe_does(
    name: str, folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    """1300 x 866 px: above the 1,280 and 1,080 tokens of two recipes; the third sets no limit."""
    _, recipe, _, _ = VENDORS[name]
    pair = (QUERY, picture("flower", 1300))
    assert_same_scores(model_of(name).predict(pair), _sigmoid(recipe(folder_of(name), *pair)))


@ALL
def test_saved_model_scores_alike_in_both_libraries(
    name: str, model_of: Callable[[str], Any], tmp_path: Path
) -> None:
    # The peer hands pictures to the prompt in the order query, document, whatever the template's.
    pairs = VENDORS[name][2]
    expected = model_of(name).predict(pairs)
    model_of(name).save_pretrained(str(tmp_path))
    assert_same_scores(CrossEncoder(str(tmp_path), device="cpu").predict(pairs), expected)
    assert_same_scores(Peer(str(tmp_path), device="cpu").predict(pairs), expected)


@ALL
def test_same_weights_under_another_name_are_refused_as_a_chat_model(
    name: str, tmp_path: Path
) -> None:
    build, _, _, family = VENDORS[name]
    with pytest.raises(CheckpointError, match=rf"processor=.*{family}"):
        CrossEncoder(str(build(tmp_path / "Qwen-Instruct")), device="cpu")


def test_lychee_takes_an_instruction(
    folder_of: Callable[[str], Path], model_of: Callable[[str], Any]
) -> None:
    folder, model = folder_of("lychee-rerank-mm"), model_of("lychee-rerank-mm")
    expected = _sigmoid(qwen_vision.lychee_rerank_mm(folder, *MIXED[0], "Find animals."))
    assert_same_scores(model.predict(MIXED[0], instruction="Find animals."), expected)


@pytest.mark.parametrize("name", ["MonoQwen2-VL-v0.1", "MultimodalQwenLogitReranker-3B"])
@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((QUERY, "a text"), r"document\) holds text, .* takes image in its place"),
        ((QUERY, {"image": CAT, "text": "a text"}), r"document\) holds text"),
        ((CAT, ROCKET), r"query\) holds image, .* takes text in its place"),
    ],
    ids=["text", "both", "query"],
)
def test_models_of_pages_refuse_what_they_were_not_made_for(
    name: str, pair: tuple[Any, Any], message: str, model_of: Callable[[str], Any]
) -> None:
    with pytest.raises(UnsupportedModality, match=message):
        model_of(name).predict([pair])


def test_refused_document_is_recorded_where_others_are_scored(
    model_of: Callable[[str], Any],
) -> None:
    model = model_of("MonoQwen2-VL-v0.1")
    ranked = model.rank(QUERY, [CAT, "a text"], on_error="record")
    assert [entry["corpus_id"] for entry in ranked] == [0, 1]
    assert "documents[1] holds text" in str(ranked[1]["error"])


def test_adapter_as_published_scores_on_the_base_that_it_names(tmp_path: Path) -> None:
    name = "MultimodalQwenLogitReranker-3B"
    adapter = checkpoints.build_multimodal_qwen_logit_reranker(tmp_path / name, form="adapter")
    assert not (adapter / "config.json").exists()
    model = CrossEncoder(str(adapter), device="cpu", scale="logit")
    assert model.describe()["family"] == "multimodal-qwen-logit-reranker"
    recipe, base = qwen_vision.multimodal_qwen_logit_reranker, tmp_path / f"{name}-base"
    expected = [recipe(base, *pair, adapter=adapter) for pair in PAGES]
    assert abs(expected[0] - recipe(base, *PAGES[0])) > 0.01
    assert_same_scores(model.predict(PAGES), expected)


def test_lighton_scores_by_its_own_files_as_the_peer_does(lighton: Path) -> None:
    """Log-odds. Its template puts the document first: see above for pictures on both sides."""
    pairs = [pair for pair in MIXED if isinstance(pair[0], str)]
    model = CrossEncoder(str(lighton), device="cpu")
    assert model.describe()["family"] == "lighton-rerank-pw"
    assert_same_scores(model.predict(pairs), Peer(str(lighton), device="cpu").predict(pairs))


def test_lighton_as_probabilities(lighton: Path) -> None:
    model = CrossEncoder(str(lighton), device="cpu")
    asked = CrossEncoder(str(lighton), device="cpu", scale="probability")
    expected = [_sigmoid(float(score)) for score in model.predict(PAGES)]
    assert_same_scores(asked.predict(PAGES), expected)
