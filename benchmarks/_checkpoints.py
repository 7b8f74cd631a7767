"""Checkpoints of real shapes with random weights: the test builders' files, larger weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    BertForSequenceClassification,
    Qwen3ForCausalLM,
    Qwen3VLForConditionalGeneration,
)

from tests.checkpoints import build_bert, build_qwen3, build_qwen3_vl

__all__ = ["build_lm_shape", "build_minilm_shape", "build_vl_shape"]

# Scores shall differ by far more than rounding, and rounding shall stay what it is in trained
# models: with weights twice as large the peer itself is 6e-6 off its own float64 scores.
_GAIN = 1.5


def build_vl_shape(folder: Path) -> Path:
    """Qwen3-VL with 8 layers of 512 and a tower of 6 layers of 384: some 50 million parameters."""
    build_qwen3_vl(folder)
    config = _read(folder)
    text = config["text_config"]
    text |= {"hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 1_536}
    text |= {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64}
    for name in ("rope_parameters", "rope_scaling"):
        if text.get(name):
            text[name]["mrope_section"] = [12, 10, 10]
    text.pop("layer_types", None)
    config["vision_config"] |= {"depth": 6, "hidden_size": 384, "num_heads": 6}
    config["vision_config"] |= {"intermediate_size": 1_536, "out_hidden_size": 512}
    return _write(folder, config, Qwen3VLForConditionalGeneration)


def build_lm_shape(folder: Path) -> Path:
    """Qwen3-Reranker with 8 layers of 384."""
    build_qwen3(folder)
    config = _read(folder)
    config |= {"hidden_size": 384, "num_hidden_layers": 8, "intermediate_size": 1_152}
    config |= {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": 64}
    config.pop("layer_types", None)
    return _write(folder, config, Qwen3ForCausalLM)


def build_minilm_shape(folder: Path) -> Path:
    """BERT with 6 layers of 384, as MiniLM-L6."""
    build_bert(folder)
    config = _read(folder)
    config |= {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1_536}
    config |= {"num_attention_heads": 12}
    return _write(folder, config, BertForSequenceClassification)


def _read(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _write(folder: Path, config: dict[str, Any], construct: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.manual_seed(0)
    model = construct(AutoConfig.from_pretrained(folder)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(_GAIN)
    model.save_pretrained(folder)
    return folder
