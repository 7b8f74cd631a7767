"""Files of sentence-transformers that are old, incomplete or misplaced: equal scores, or a reason.

Each test spoils a copy of a healthy checkpoint and compares with the healthy one.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests import checkpoints
from tests.cross_encoder._chain import build_chain
from tests.cross_encoder._samples import PAIRS, UNCLOSED_TEMPLATES, assert_same_scores, picture

pytestmark = UNCLOSED_TEMPLATES

WITH_PICTURE: list[Any] = [*PAIRS[:3], ("a", picture(64, 96, "red"))]
_BUILDERS: dict[str, Callable[[Path], Path]] = {
    "bert": lambda folder: checkpoints.build_bert(folder, with_st_files=True),
    "plain-bert": checkpoints.build_bert,
    "nli": lambda folder: checkpoints.build_bert_nli(folder, with_st_files=True),
    "qwen3": checkpoints.build_qwen3,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "chain": build_chain,
}
HealthyScores = Callable[[str], Any]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """name -> a healthy checkpoint; tests that change files take a copy."""
    root = tmp_path_factory.mktemp("healthy")
    return cache(lambda name: _BUILDERS[name](root / name))


@pytest.fixture(scope="module")
def healthy_scores(healthy: Callable[[str], Path]) -> HealthyScores:
    """name -> scores of the healthy checkpoint."""
    return cache(lambda name: _scores(healthy(name)))


@pytest.fixture
def copy_of(healthy: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """name -> a copy that may be spoilt."""
    return lambda name: Path(shutil.copytree(healthy(name), tmp_path / name))


def _scores(folder: Path, **options: Any) -> Any:
    pairs = WITH_PICTURE if (folder / "processor_config.json").is_file() else PAIRS
    return CrossEncoder(str(folder), device="cpu", **options).predict(pairs)


def _edit(path: Path, **changes: Any) -> None:
    """Set keys of a json file; None takes one out."""
    value = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {key: item for key, item in value.items() if item is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def _rename_type(folder: Path, index: int, name: str) -> None:
    path = folder / "modules.json"
    modules = json.loads(path.read_text(encoding="utf-8"))
    modules[index]["type"] = name
    path.write_text(json.dumps(modules), encoding="utf-8")


# ---------------------------------------------------------------- files that are missing


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-vl", "chain"])
def test_task_is_inferred_where_the_transformers_file_is_missing(
    name: str, copy_of: Any, healthy_scores: HealthyScores, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of(name)
    (folder / "sentence_bert_config.json").unlink()
    assert_same_scores(_scores(folder), healthy_scores(name))
    assert "there is no sentence_bert_config.json; the task was inferred" in caplog.text


@pytest.mark.parametrize("name", ["bert", "qwen3", "chain"])
def test_defaults_are_in_force_and_told_where_the_models_file_is_missing(
    name: str, copy_of: Any, healthy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of(name)
    (folder / "config_sentence_transformers.json").unlink()
    expected = _scores(healthy(name), activation_fn=torch.nn.Sigmoid())
    assert_same_scores(_scores(folder, activation_fn=torch.nn.Sigmoid()), expected)
    assert "the saved activation and prompts are unknown" in caplog.text


@pytest.mark.parametrize("name", ["qwen3", "qwen3-vl"])
def test_score_module_in_another_folder_is_found(
    name: str, copy_of: Any, healthy_scores: HealthyScores, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of(name)
    (folder / "1_LogitScore").rename(folder / "1_Score")
    assert_same_scores(_scores(folder), healthy_scores(name))
    assert "LogitScore lies in '1_LogitScore', where it is not; '1_Score'" in caplog.text


@pytest.mark.parametrize("name", ["qwen3", "qwen3-vl"])
def test_score_tokens_are_the_familys_where_no_file_names_them(
    name: str, copy_of: Any, healthy_scores: HealthyScores, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of(name)
    shutil.rmtree(folder / "1_LogitScore")
    assert_same_scores(_scores(folder), healthy_scores(name))
    assert "names no true_token_id" in caplog.text


def test_modules_of_a_chain_in_other_folders_are_found(
    copy_of: Any, healthy_scores: HealthyScores, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of("chain")
    for name in ("1_Pooling", "2_Dense", "3_LayerNorm", "4_Dense"):
        (folder / name).rename(folder / f"9{name}")
    assert_same_scores(_scores(folder), healthy_scores("chain"))
    assert caplog.text.count("is read in its place") == 4


def test_transformer_that_is_not_in_its_subfolder_is_read_beside_modules_json(
    copy_of: Any, healthy_scores: HealthyScores, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of("bert")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    assert_same_scores(_scores(folder), healthy_scores("bert"))
    assert "'0_Transformer', which is not there" in caplog.text


def test_module_that_is_missing_altogether_is_an_error_that_names_it(copy_of: Any) -> None:
    folder = copy_of("chain")
    shutil.rmtree(folder / "2_Dense")
    with pytest.raises(CheckpointError, match=r"2_Dense/config\.json.*lacks in_features"):
        _scores(folder)


def test_module_without_weights_is_an_error_that_names_it(copy_of: Any) -> None:
    folder = copy_of("chain")
    (folder / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"2_Dense has no model\.safetensors"):
        _scores(folder)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b", "C:\\models"])
def test_path_out_of_the_checkpoint_is_refused(path: str, copy_of: Any) -> None:
    folder = copy_of("qwen3")
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    modules[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    with pytest.raises(CheckpointError, match="leads out of the checkpoint"):
        _scores(folder)


def test_modules_file_of_another_shape_is_an_error(copy_of: Any) -> None:
    folder = copy_of("qwen3")
    (folder / "modules.json").write_text('{"modules": []}', encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"modules\.json of the checkpoint is no list"):
        _scores(folder)


# ---------------------------------------------------------------- older spellings


@pytest.mark.parametrize(
    "spelling",
    ["sentence_transformers.models.Transformer", "sentence_transformers.base.models.Transformer"],
)
@pytest.mark.parametrize("name", ["bert", "qwen3"])
def test_older_names_of_the_transformers_type_are_read(
    name: str, spelling: str, copy_of: Any, healthy_scores: HealthyScores
) -> None:
    folder = copy_of(name)
    _rename_type(folder, 0, spelling)
    assert_same_scores(_scores(folder), healthy_scores(name))


def test_type_that_the_peer_cannot_import_is_told_and_saved_rightly(
    copy_of: Any, healthy_scores: HealthyScores, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of("bert")
    _rename_type(folder, 0, "sentence_transformers.base.models.Transformer")
    CrossEncoder(str(folder), device="cpu").save_pretrained(tmp_path / "saved")
    assert "a name that sentence-transformers cannot import" in caplog.text
    peer = Peer(str(tmp_path / "saved"), device="cpu")
    assert_same_scores(peer.predict(PAIRS), healthy_scores("bert"))


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "distilbert"])
def test_transformers_file_under_an_older_name_is_read(
    kind: str, copy_of: Any, healthy_scores: HealthyScores
) -> None:
    folder = copy_of("nli")
    (folder / "sentence_bert_config.json").rename(folder / f"sentence_{kind}_config.json")
    assert_same_scores(_scores(folder), healthy_scores("nli"))


def test_activation_of_config_json_is_read_in_both_older_spellings(
    healthy: Any, healthy_scores: HealthyScores, copy_of: Any
) -> None:
    folder = copy_of("plain-bert")
    _edit(
        folder / "config.json",
        sentence_transformers=None,
        sbert_ce_default_activation_function="torch.nn.modules.linear.Identity",
    )
    assert_same_scores(_scores(folder), healthy_scores("plain-bert"))
    assert abs(healthy_scores("plain-bert")).max() > 1.0  # no sigmoid


def test_pooling_with_one_flag_a_mode_is_read(copy_of: Any, healthy_scores: HealthyScores) -> None:
    folder = copy_of("chain")
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, **flags}), encoding="utf-8"
    )
    assert_same_scores(_scores(folder), healthy_scores("chain"))


def test_pickled_weights_of_a_module_are_read_when_the_caller_trusts_them(
    copy_of: Any, healthy_scores: HealthyScores
) -> None:
    from safetensors.torch import load_file

    folder = copy_of("chain")
    for weights in [folder / "2_Dense" / "model.safetensors", folder / "model.safetensors"]:
        torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    (folder / "2_Dense" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"2_Dense.*pytorch_model\.bin only.*use_safetensors"):
        _scores(folder)
    (folder / "model.safetensors").unlink()
    trusted = _scores(folder, model_kwargs={"use_safetensors": False})
    assert_same_scores(trusted, healthy_scores("chain"))


def test_option_of_a_module_that_would_change_scores_is_refused(copy_of: Any) -> None:
    folder = copy_of("chain")
    _edit(folder / "2_Dense" / "config.json", use_residual=True)
    with pytest.raises(CheckpointError, match="use_residual, which is not known here"):
        _scores(folder)


def test_length_and_options_of_older_files_are_in_force_as_in_the_peer(copy_of: Any) -> None:
    folder = copy_of("bert")
    _edit(
        folder / "sentence_bert_config.json",
        max_seq_length=24,
        do_lower_case=True,
        model_args={"torch_dtype": "float32", "trust_remote_code": True},
        tokenizer_args={"truncation_side": "right"},
        config_args={"classifier_dropout": 0.25},
    )
    ours, peer = (library(str(folder), device="cpu") for library in (CrossEncoder, Peer))
    assert ours.max_seq_length == peer.max_seq_length == 24
    assert ours.config.classifier_dropout == 0.25
    assert ours.trust_remote_code is False
    assert_same_scores(ours.predict(PAIRS), peer.predict(PAIRS))


def test_options_that_are_the_callers_are_left_out_and_told(
    copy_of: Any, healthy_scores: HealthyScores, caplog: pytest.LogCaptureFixture
) -> None:
    folder = copy_of("bert")
    _edit(
        folder / "sentence_bert_config.json",
        model_args={"use_safetensors": False, "attn_implementation": "someone/kernel"},
        tokenizer_args={"cache_dir": "/elsewhere"},
    )
    with caplog.at_level(logging.WARNING, logger="mmrerank"):
        assert_same_scores(_scores(folder), healthy_scores("bert"))
    assert "ask for 'attn_implementation', 'cache_dir', 'use_safetensors'" in caplog.text


def test_callers_length_wins_over_the_files(copy_of: Any) -> None:
    folder = copy_of("bert")
    _edit(folder / "sentence_bert_config.json", max_seq_length=24)
    assert CrossEncoder(str(folder), device="cpu", max_length=40).max_seq_length == 40


def test_healthy_checkpoints_are_loaded_without_a_warning(
    healthy: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name in _BUILDERS:
        CrossEncoder(str(healthy(name)), device="cpu")
    assert [record.message for record in caplog.records if record.name.startswith("mmrerank")] == []
