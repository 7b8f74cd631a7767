"""Rerankers whose architecture is in the checkpoint's own Python files: only with trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests.checkpoints import vendors_code
from tests.checkpoints.nemotron import build_nemotron
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import nemotron

_TEXT_NEMOTRON = "llama-nemotron-rerank-1b-v2"
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "jina-reranker-v1-tiny-en": vendors_code.build_own_bert,
    "jina-reranker-v2-base-multilingual": vendors_code.build_own_xlm_roberta,
    "gte-multilingual-reranker-base": vendors_code.build_own_new,
    # Twice the published temperature: a copy that has lost it scores otherwise.
    _TEXT_NEMOTRON: partial(build_nemotron, temperature=2.0),
}
FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nemotron(tmp_path_factory.mktemp("remote") / _TEXT_NEMOTRON)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """name -> the checkpoint in its vendor's form."""
    root = tmp_path_factory.mktemp("published")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="module")
def saved(published: FolderOf, tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """name -> what save_pretrained made of it, in a folder of another name."""
    root = tmp_path_factory.mktemp("saved")

    def save(name: str) -> Path:
        folder = root / name / "my-model"
        _load(published(name)).save_pretrained(folder)
        return folder

    return cache(save)


def _load(folder: Path) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", trust_remote_code=True)


def _peer(folder: Path) -> Peer:
    return Peer(str(folder), device="cpu", trust_remote_code=True)


def _config(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def test_without_trust_the_error_names_the_argument(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"'nemotron-rerank' .* trust_remote_code=True"):
        CrossEncoder(str(folder), device="cpu")


def test_with_trust_scores_are_those_of_the_model_card(folder: Path) -> None:
    model = CrossEncoder(str(folder), device="cpu", trust_remote_code=True)
    expected = [nemotron.score(folder, *pair) for pair in PAIRS]
    assert len({round(score, 2) for score in expected}) > 3, "the weights tell nothing apart"
    assert_same_scores(model.predict(PAIRS), expected)
    assert model.describe()["scale"] == "logit"


@pytest.mark.parametrize("name", BUILDERS)
def test_saved_folder_scores_equally_here_and_in_the_peer(
    name: str, published: FolderOf, saved: FolderOf
) -> None:
    expected = _load(published(name)).predict(PAIRS)
    assert_same_scores(_load(saved(name)).predict(PAIRS), expected)
    assert_same_scores(_peer(saved(name)).predict(PAIRS), expected)


@pytest.mark.parametrize("name", BUILDERS)
def test_saved_folder_has_the_vendors_files_and_asks_no_hub_for_code(
    name: str, published: FolderOf, saved: FolderOf
) -> None:
    code = {path.name: path.read_text() for path in published(name).glob("*.py")}
    assert {path.name: path.read_text() for path in saved(name).glob("*.py")} == code
    assert _config(saved(name))["auto_map"] == _config(published(name))["auto_map"]


@pytest.mark.parametrize("name", BUILDERS)
def test_saved_folder_is_refused_without_trust(name: str, saved: FolderOf) -> None:
    with pytest.raises(CheckpointError, match="trust_remote_code=True"):
        CrossEncoder(str(saved(name)), device="cpu")


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != _TEXT_NEMOTRON])
def test_what_the_peer_saves_scores_equally_here(
    name: str, published: FolderOf, tmp_path: Path
) -> None:
    theirs = _peer(published(name))
    theirs.save_pretrained(str(tmp_path / "theirs"))
    assert_same_scores(_load(tmp_path / "theirs").predict(PAIRS), theirs.predict(PAIRS))


def test_a_temperature_that_the_peer_cannot_save_is_kept(
    published: FolderOf, saved: FolderOf, tmp_path: Path
) -> None:
    """transformers refuses fields that are named like a setting of text generation."""
    with pytest.raises(ValueError, match=r"generation parameters .*\s.*'temperature': 2.0"):
        _peer(published(_TEXT_NEMOTRON)).save_pretrained(str(tmp_path / "theirs"))
    assert _config(saved(_TEXT_NEMOTRON))["temperature"] == 2.0


def test_saving_leaves_the_model_in_memory_as_it_was(published: FolderOf, tmp_path: Path) -> None:
    model = _load(published(_TEXT_NEMOTRON))
    before = model.predict(PAIRS)
    model.save_pretrained(tmp_path / "saved")
    assert model.config.temperature == 2.0
    assert_same_scores(model.predict(PAIRS), before)
