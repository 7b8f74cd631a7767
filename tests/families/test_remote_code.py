"""Rerankers whose architecture is in the checkpoint's own Python files: only with trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests.checkpoints.nemotron import build_nemotron
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import nemotron


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nemotron(tmp_path_factory.mktemp("remote") / "llama-nemotron-rerank-1b-v2")


def test_without_trust_the_error_names_the_argument(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'nemotron-rerank' .* trust_remote_code=True"):
        CrossEncoder(str(folder), device="cpu")


def test_with_trust_scores_are_those_of_the_model_card(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    expected = [nemotron.score(folder, *pair) for pair in PAIRS]
    assert len({round(score, 2) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model.predict(PAIRS), expected)
    assert model.describe()["scale"] == "logit"
