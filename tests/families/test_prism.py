"""Prism-Reranker: Qwen3.5 of text alone, with and without sentence-transformers files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
from sentence_transformers import CrossEncoder as PeerCrossEncoder

from mmrerank import CrossEncoder
from tests import checkpoints
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.prompting._pairs import UNCLOSED_TEMPLATES
from tests.recipes import prism

pytestmark = UNCLOSED_TEMPLATES

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "Prism-Qwen3.5-Reranker-0.8B": checkpoints.build_prism_reranker,
    "Prism-Qwen3.5-Reranker-2B": partial(checkpoints.build_prism_reranker, with_st_files=False),
    "Prism-Qwen3-Reranker-4B-exp": partial(
        checkpoints.build_prism_reranker, with_st_files=False, backbone="qwen3"
    ),
}
WITH_ST_FILES = "Prism-Qwen3.5-Reranker-0.8B"
ModelOf = Callable[[str], CrossEncoder]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("prism")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="module")
def model_of(folder_of: Callable[[str], Path]) -> ModelOf:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize("name", BUILDERS)
def test_scores_are_the_probabilities_of_the_vendors_recipe(
    name: str, folder_of: Callable[[str], Path], model_of: ModelOf
) -> None:
    expected = [_probability(prism.score(folder_of(name), *pair)) for pair in PAIRS]
    assert len({round(score, 3) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model_of(name).predict(PAIRS), expected)


@pytest.mark.parametrize("name", BUILDERS)
def test_family_is_known_by_the_name_of_the_repository(name: str, model_of: ModelOf) -> None:
    assert model_of(name).describe()["family"] == "prism-reranker"


@pytest.mark.parametrize("name", BUILDERS)
def test_saved_folder_scores_equally_here_and_in_the_peer(
    name: str, model_of: ModelOf, tmp_path: Path
) -> None:
    model_of(name).save_pretrained(tmp_path / "saved")
    expected = model_of(name).predict(PAIRS)
    again = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert again.describe()["family"] == "prism-reranker"
    assert_same_scores(again.predict(PAIRS), expected)
    assert_same_scores(
        PeerCrossEncoder(str(tmp_path / "saved"), device="cpu").predict(PAIRS), expected
    )


def test_published_files_score_equally_in_the_peer(
    folder_of: Callable[[str], Path], model_of: ModelOf
) -> None:
    theirs = PeerCrossEncoder(str(folder_of(WITH_ST_FILES)), device="cpu").predict(PAIRS)
    assert_same_scores(model_of(WITH_ST_FILES).predict(PAIRS), theirs)


def test_layers_of_two_kinds_run_padded(model_of: ModelOf) -> None:
    assert model_of(WITH_ST_FILES).explain_plan(PAIRS).runner == "padded"
