"""llama-nemotron-rerank-vl: an architecture in Python files of its own, run only with trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, UnsupportedModality
from tests.checkpoints.nemotron_vl import build_nemotron_vl
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.families._pictures import picture
from tests.recipes import nemotron_vl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nemotron_vl(tmp_path_factory.mktemp("nemotron") / "llama-nemotron-rerank-vl")


def test_without_trust_the_error_names_the_argument(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'nemotron-rerank-vl' .* trust_remote_code=True"):
        CrossEncoder(str(folder), device="cpu")


def test_with_trust_texts_score_as_the_vendors_prompt_says(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    expected = [nemotron_vl.score(folder, *pair) for pair in PAIRS]
    assert len({round(score, 2) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model.predict(PAIRS), expected)


def test_pictures_are_refused_before_they_are_opened(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    with pytest.raises(UnsupportedModality, match=r"holds image, .* takes text"):
        model.predict([("a cat", picture("cat"))])
