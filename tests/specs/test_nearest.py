"""A model that nothing recognises: the error names the processor that comes nearest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmrerank.errors import CheckpointError
from mmrerank.specs import resolve
from tests.specs._facts import QWEN3_VL, facts_of


def _message(folder: Path, config: dict[str, Any], name: str = "someone/model") -> str:
    with pytest.raises(CheckpointError) as caught:
        resolve(facts_of(folder, {"config.json": config}, name=name))
    return str(caught.value)


def test_plain_chat_model_of_a_known_architecture_is_called_so(tmp_path: Path) -> None:
    message = _message(tmp_path, QWEN3_VL, "Qwen/Qwen3-VL-2B-Instruct")
    assert message.startswith("Qwen/Qwen3-VL-2B-Instruct: nothing in its files says")
    assert "looks like a plain qwen3_vl model" in message
    assert "If it was trained as a reranker, name its family: processor='qwen3-vl-rer" in message


def test_families_of_another_architecture_are_not_offered(tmp_path: Path) -> None:
    config = {"model_type": "qwen3_vl", "architectures": ["Qwen3VLForConditionalGeneration"]}
    assert "sequence-classification" not in _message(tmp_path, config)


def test_misspelt_or_newer_model_type_gets_the_nearest_one(tmp_path: Path) -> None:
    config = {"model_type": "qwen3_vl2", "architectures": ["Qwen3VL2ForConditionalGeneration"]}
    message = _message(tmp_path, config)
    assert "No family here has that model_type" in message
    assert "processor='qwen3-vl-reranker'" in message


def test_model_of_no_known_kind_gets_the_whole_list(tmp_path: Path) -> None:
    message = _message(tmp_path, {"model_type": "whisper", "architectures": ["WhisperForAudio"]})
    assert "causal-lm" in message
    assert "tiny-omni" in message


def test_model_type_of_any_length_is_cut(tmp_path: Path) -> None:
    message = _message(tmp_path, {"model_type": "x" * 5_000, "architectures": ["y" * 5_000]})
    assert len(message) < 2_000
    assert "processor=" in message
