"""GTE rerankers with a class of transformers': the vendor's Python files are not run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import UntrustedCode
from tests.checkpoints.gte import build_gte
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import gte

_NAME = "gte-multilingual-reranker-base"
_LONG = ("how fast is a train", "the train is fast and long " * 120)
FORMS: dict[str, dict[str, Any]] = {
    "published": {},
    "not stretched": {"rope_scaling": None},
    "for xformers": {"unpad_inputs": True, "use_memory_efficient_attention": True},
}
# What the vendor's class computes otherwise, and transformers' does not.
OTHERS: dict[str, dict[str, Any]] = {
    "logn": {"logn_attention_scale": True},
    "rms": {"layer_norm_type": "rms_norm"},
    "absolute": {"position_embedding_type": "absolute"},
    "unpacked": {"pack_qkv": False},
    "mixed": {"rope_scaling": {"factor": 8.0, "type": "ntk", "mixed_b": 0.5}},
}
FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("gte")
    return cache(lambda form: build_gte(root / form / _NAME, **FORMS[form]))


def _load(folder: Path, **options: Any) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", **options)


@pytest.mark.parametrize("form", FORMS)
def test_logits_are_those_of_the_vendors_arithmetic(form: str, folder_of: FolderOf) -> None:
    score = partial(gte.logit, folder_of(form))
    expected = [score(*pair) for pair in [*PAIRS, _LONG]]
    assert len({round(logit, 2) for logit in expected}) > 3, "the weights tell nothing apart"
    model = _load(folder_of(form), max_length=512)
    assert_same_scores(model.predict([*PAIRS, _LONG], activation_fn=torch.nn.Identity()), expected)
    probabilities = torch.sigmoid(torch.tensor(expected))
    assert_same_scores(model.predict([*PAIRS, _LONG]), probabilities)


def test_the_stretch_of_positions_counts(folder_of: FolderOf) -> None:
    """Else the forms above would show nothing of it."""
    stretched, plain = (gte.logit(folder_of(f), *_LONG) for f in ("published", "not stretched"))
    assert abs(stretched - plain) > 1e-3


def test_rows_are_packed(folder_of: FolderOf) -> None:
    assert _load(folder_of("published")).explain_plan(PAIRS).runner == "packed"


def test_python_files_are_not_run_even_when_they_are_trusted(
    folder_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _load(folder_of("published"), trust_remote_code=True)
    assert "Python files are not run" in caplog.text


@pytest.mark.parametrize("settings", OTHERS.values(), ids=OTHERS)
def test_other_settings_need_the_vendors_code(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UntrustedCode, match="trust_remote_code=True"):
        _load(build_gte(tmp_path / _NAME, **settings))


@pytest.mark.parametrize("form", FORMS)
def test_saved_folder_scores_equally_here_and_in_the_peer(
    form: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    expected = _load(folder_of(form)).predict(PAIRS)
    _load(folder_of(form)).save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.py"))
    assert_same_scores(_load(tmp_path / "saved").predict(PAIRS), expected)
    theirs = Peer(str(tmp_path / "saved"), device="cpu")
    assert_same_scores(theirs.predict(PAIRS), expected)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    assert_same_scores(_load(tmp_path / "theirs").predict(PAIRS), expected)
