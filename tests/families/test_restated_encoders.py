"""Vendors' encoders by classes of transformers' own: their Python files are not run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, UntrustedCode
from tests.checkpoints.restated_encoders import build_gte, build_jina_v2
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import restated_encoders as recipe

_LONG = ("how fast is a train", "the train is fast and long " * 120)
_FLASH = "jinaai/xlm-roberta-flash--modeling_xlm_roberta.XLMRobertaForSequenceClassification"


@dataclass(frozen=True)
class _Case:
    """forms: settings of config.json that are computed. others: those that are not."""

    name: str
    build: Callable[..., Path]
    logit: Callable[..., float]
    forms: dict[str, dict[str, Any]]
    others: dict[str, dict[str, Any]]


GTE = _Case(
    "gte-multilingual-reranker-base",
    build_gte,
    recipe.gte_logit,
    {
        "published": {},
        "not stretched": {"rope_scaling": None},
        "for xformers": {"unpad_inputs": True, "use_memory_efficient_attention": True},
    },
    {
        "logn": {"logn_attention_scale": True},
        "rms": {"layer_norm_type": "rms_norm"},
        "absolute": {"position_embedding_type": "absolute"},
        "unpacked": {"pack_qkv": False},
        "written by transformers 5": {
            "rope_scaling": None,
            "rope_parameters": {"factor": 8.0, "type": "ntk", "rope_theta": 20000},
        },
        "mixed": {"rope_scaling": {"factor": 8.0, "type": "ntk", "mixed_b": 0.5}},
    },
)
JINA_V2 = _Case(
    "jina-reranker-v2-base-multilingual",
    build_jina_v2,
    recipe.jina_v2_logit,
    {
        "published": {},
        "vendor's defaults": {"layer_norm_eps": None, "position_embedding_type": None},
        "code elsewhere": {"auto_map": {"AutoModelForSequenceClassification": _FLASH}},
    },
    {
        "rotary": {"position_embedding_type": "rotary"},
        "adapters": {"lora_adaptations": ["retrieval", "classification"]},
        "other code": {"auto_map": {"AutoModelForSequenceClassification": "other.Model"}},
    },
)
CASES = {"gte": GTE, "jina-v2": JINA_V2}
FORMS = [(name, form) for name, case in CASES.items() for form in case.forms]
OTHERS = [(name, form) for name, case in CASES.items() for form in case.others]
FolderOf = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("restated")

    def build(name: str, form: str) -> Path:
        case = CASES[name]
        return case.build(root / form / case.name, **case.forms[form])

    return cache(build)


def _load(folder: Path, **options: Any) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", **options)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_logits_are_those_of_the_vendors_arithmetic(
    name: str, form: str, folder_of: FolderOf
) -> None:
    folder, pairs = folder_of(name, form), [*PAIRS, _LONG]
    expected = [CASES[name].logit(folder, *pair) for pair in pairs]
    assert len({round(logit, 2) for logit in expected}) > 3, "the weights tell nothing apart"
    model = _load(folder, max_length=512)
    assert_same_scores(model.predict(pairs, activation_fn=torch.nn.Identity()), expected)
    assert_same_scores(model.predict(pairs), torch.sigmoid(torch.tensor(expected)))


def test_the_stretch_of_positions_counts(folder_of: FolderOf) -> None:
    """Else the forms above would show nothing of it."""
    stretched, plain = (
        GTE.logit(folder_of("gte", form), *_LONG) for form in ("published", "not stretched")
    )
    assert abs(stretched - plain) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_rows_are_packed(name: str, folder_of: FolderOf) -> None:
    assert _load(folder_of(name, "published")).explain_plan(PAIRS).runner == "packed"


@pytest.mark.parametrize("name", CASES)
def test_python_files_are_not_run_even_when_they_are_trusted(
    name: str, folder_of: FolderOf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _load(folder_of(name, "published"), trust_remote_code=True)
    assert "Python files are not run" in caplog.text


@pytest.mark.parametrize(("name", "form"), OTHERS)
def test_other_settings_need_the_vendors_code(name: str, form: str, tmp_path: Path) -> None:
    case = CASES[name]
    with pytest.raises(UntrustedCode, match="trust_remote_code=True"):
        _load(case.build(tmp_path / case.name, **case.others[form]))


@pytest.mark.parametrize("name", CASES)
def test_checkpoint_that_lacks_a_layer_is_refused(name: str, tmp_path: Path) -> None:
    folder = CASES[name].build(tmp_path / CASES[name].name)
    weights = load_file(folder / "model.safetensors")
    whole = {name: tensor for name, tensor in weights.items() if ".1." not in name}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="the checkpoint lacks 16 weights"):
        _load(folder)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_saved_folder_scores_equally_here_and_in_the_peer(
    name: str, form: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    expected = _load(folder_of(name, form)).predict(PAIRS)
    _load(folder_of(name, form)).save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.py"))
    assert_same_scores(_load(tmp_path / "saved").predict(PAIRS), expected)
    theirs = Peer(str(tmp_path / "saved"), device="cpu")
    assert_same_scores(theirs.predict(PAIRS), expected)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    assert_same_scores(_load(tmp_path / "theirs").predict(PAIRS), expected)
