"""Architectures that are not listed are tried both ways before they score."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    Qwen3NextConfig,
    Qwen3NextForCausalLM,
    Starcoder2Config,
    Starcoder2ForCausalLM,
)

from mmrerank import CrossEncoder
from mmrerank.engine import PackedEngine, PaddedEngine
from mmrerank.engine.probe import ProbingEngine
from tests import checkpoints
from tests.engine.test_packed import QUERY, TEXTS, padded

pytestmark = pytest.mark.filterwarnings("ignore:.*")
SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 96,
}
LINEAR: dict[str, Any] = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "layer_types": ["linear_attention", "full_attention"],
}
MAKERS: dict[str, Any] = {
    "starcoder2, windows of 8": lambda v: Starcoder2ForCausalLM(
        Starcoder2Config(vocab_size=v, sliding_window=8, **SMALL)
    ),
    "qwen3-next, linear attention": lambda v: Qwen3NextForCausalLM(
        Qwen3NextConfig(vocab_size=v, **SMALL, **LINEAR)
    ),
}


def build(name: str, folder: Path) -> CrossEncoder:
    checkpoints.build_llama(folder)
    vocab_size = CrossEncoder(str(folder), device="cpu").config.vocab_size
    torch.manual_seed(0)
    model = MAKERS[name](vocab_size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5.0)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    model.save_pretrained(folder)
    return CrossEncoder(str(folder), device="cpu")


def test_architecture_that_packs_is_packed(tmp_path: Path) -> None:
    model = build("starcoder2, windows of 8", tmp_path)
    engine = model.pipeline._engine
    assert isinstance(engine, ProbingEngine)
    pairs = [(QUERY, text) for text in TEXTS]
    found = model.predict(pairs)
    assert isinstance(engine._chosen, PackedEngine)
    np.testing.assert_allclose(found, padded(model, pairs), atol=1e-5)


@pytest.mark.parametrize("name", ["qwen3-next, linear attention"])
def test_architecture_that_does_not_pack_is_padded_with_one_warning(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = build(name, tmp_path)
    caplog.set_level(logging.WARNING, logger="mmrerank.engine")
    for _ in range(2):
        model.predict([(QUERY, text) for text in TEXTS])
    engine: Any = model.pipeline._engine
    assert isinstance(engine._chosen, PaddedEngine)
    warnings = [r for r in caplog.records if "in packed rows" in r.getMessage()]
    assert len(warnings) == 1
