"""Tiny listwise rerankers with the files of jina-reranker-v3 and v3.5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AddedToken, Qwen2Tokenizer, Qwen3Config, Qwen3Model

from ._save import make_model, round_up, write_json
from ._templates import CHATML
from .tokenizers import make_qwen_tokenizer

__all__ = ["build_jina_v3", "build_jina_v35"]

_HIDDEN = 64
_GAIN = 8.0
# Whoever runs it is found out: the family is plain data here.
_VENDORS_CODE = 'raise AssertionError("the Python of a checkpoint was run")\n'


def build_jina_v3(folder: Path, *, seed: int = 0) -> Path:
    """Full attention in every layer."""
    return _build(folder, seed, num_hidden_layers=2)


def build_jina_v35(folder: Path, *, seed: int = 0) -> Path:
    """Three layers that see 16 tokens back, then two that see all, as in the published pattern."""
    return _build(
        folder,
        seed,
        num_hidden_layers=5,
        use_sliding_window=True,
        sliding_window=16,
        layer_types=["sliding_attention"] * 3 + ["full_attention"] * 2,
    )


def _build(folder: Path, seed: int, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_qwen_tokenizer()
    tokenizer.chat_template = CHATML
    marks = ["<|embed_token|>", "<|rerank_token|>"]
    tokenizer.add_tokens([AddedToken(mark, special=True) for mark in marks])
    tokenizer.save_pretrained(folder)
    made = _config(tokenizer, **config)
    model = make_model(lambda: Qwen3Model(made), seed=seed, matrix_gain=_GAIN)
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    save_file(weights | _projector(seed), folder / "model.safetensors", {"format": "pt"})
    said = made.to_diff_dict() | {
        "architectures": ["JinaForRanking"],
        "auto_map": {"AutoModel": "modeling.JinaForRanking"},
    }
    write_json(folder / "config.json", said)
    (folder / "modeling.py").write_text(_VENDORS_CODE, encoding="utf-8")
    return folder


def _projector(seed: int) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed + 1)
    half = _HIDDEN // 2
    return {
        "projector.0.weight": torch.randn(half, _HIDDEN, generator=chance) / 8,
        "projector.2.weight": torch.randn(half, half, generator=chance) / 4,
    }


def _config(tokenizer: Qwen2Tokenizer, **more: Any) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=round_up(len(tokenizer)),
        hidden_size=_HIDDEN,
        intermediate_size=128,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=131072,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0},
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )
