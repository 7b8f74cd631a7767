"""The sentence-transformers json files: written, read back, and read in older spellings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrerank.errors import CheckpointError
from mmrerank.specs.st_format import (
    LOGIT_SCORE_TYPE,
    TRANSFORMER_TYPE,
    StFiles,
    StModule,
    read_json,
    read_st_files,
    write_st_files,
)

FILES = StFiles(
    modules=(
        StModule("Transformer", "", {}, TRANSFORMER_TYPE),
        StModule("LogitScore", "1_LogitScore", {"true_token_id": 7}, LOGIT_SCORE_TYPE),
    ),
    transformer={
        "transformer_task": "any-to-any",
        "modality_config": {"text": {}, "image": {}, "image+text": {}, "message": {}},
    },
    model={
        "activation_fn": "torch.nn.modules.linear.Identity",
        "prompts": {"query": "Zürich 東京"},
    },
)


def test_written_files_are_read_back_the_same(tmp_path: Path) -> None:
    write_st_files(tmp_path, FILES)
    assert read_st_files(tmp_path) == FILES


def test_modules_file_is_the_peers(tmp_path: Path) -> None:
    write_st_files(tmp_path, FILES)
    assert json.loads((tmp_path / "modules.json").read_text(encoding="utf-8")) == [
        {"idx": 0, "name": "0", "path": "", "type": TRANSFORMER_TYPE},
        {"idx": 1, "name": "1", "path": "1_LogitScore", "type": LOGIT_SCORE_TYPE},
    ]
    text = (tmp_path / "config_sentence_transformers.json").read_text(encoding="utf-8")
    assert "東京" in text


def test_types_named_here_exist_in_the_peer() -> None:
    import importlib

    for path in (TRANSFORMER_TYPE, LOGIT_SCORE_TYPE):
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name)


def test_modalities_leave_out_message_and_joined_ones() -> None:
    assert FILES.modalities == ("text", "image")


def test_head_modules_are_those_after_the_transformer() -> None:
    assert [module.kind for module in FILES.head_modules] == ["LogitScore"]
    assert FILES.head("Pooling") is None


def test_folder_without_files_gives_empty_facts(tmp_path: Path) -> None:
    assert read_st_files(tmp_path) == StFiles((), {}, {})


@pytest.mark.parametrize(
    "name", ["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"]
)
def test_older_file_names_of_the_transformer_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / f"sentence_{name}_config.json").write_text('{"max_seq_length": 5}')
    assert read_st_files(tmp_path).transformer == {"max_seq_length": 5}


def test_transformer_in_a_folder_of_its_own_is_read_there(tmp_path: Path) -> None:
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "0_Transformer" / "sentence_bert_config.json").write_text('{"a": 1}')
    (tmp_path / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "0_Transformer", "type": "old.Transformer"}])
    )
    assert read_st_files(tmp_path).transformer == {"a": 1}


def test_json_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json of the checkpoint is not valid json"):
        read_json(tmp_path / "config.json")


def test_missing_json_gives_the_default(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json", default={"a": 1}) == {"a": 1}
