"""Tiny rerankers with an output row behind each layer, as the vendor lays them out: config fields,
names of weights, and Python files that do harm when they are run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Gemma2Config, Gemma2Model, LlamaConfig, LlamaModel

from ._save import make_model, round_up, write_json
from .sentencepiece import make_gemma_tokenizer, make_llama_tokenizer

__all__ = ["FIRST_LAYER", "NUM_LAYERS", "build_bge_gemma2", "build_bge_minicpm"]

NUM_LAYERS = 4
_NUM_ROWS = 3
FIRST_LAYER = NUM_LAYERS - _NUM_ROWS + 1
_GAIN = 6.0
_HOSTILE = "raise SystemExit('the code of a checkpoint was run')\n"


def build_bge_minicpm(folder: Path, *, seed: int = 0, num_layers: int = NUM_LAYERS) -> Path:
    """bge-reranker-v2-minicpm-layerwise: Llama with multipliers, scored after any of three layers.

    Source of the fields: config.json of the published model; the sizes alone are ours.
    """
    tokenizer = make_llama_tokenizer(model_max_length=2048)
    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "max_position_embeddings": 2048,
        "num_attention_heads": 4,
        "num_hidden_layers": num_layers,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-05,
        "vocab_size": round_up(len(tokenizer)),
    }
    # The weights have the names and shapes of Llama's.
    config = LlamaConfig(**sizes)
    model = make_model(lambda: LlamaModel(config), seed=seed, matrix_gain=_GAIN)
    _save_weights(folder, model, seed)
    tokenizer.save_pretrained(folder)
    write_json(
        folder / "config.json",
        {
            "_name_or_path": "BAAI/bge-reranker-v2-minicpm-layerwise",
            "architectures": ["LayerWiseMiniCPMForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "auto_map": {
                "AutoConfig": "configuration_minicpm_reranker.LayerWiseMiniCPMConfig",
                "AutoModelForCausalLM": "modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM",
            },
            "bos_token_id": 1,
            "dim_model_base": 256,
            "eos_token_id": 2,
            "head_multi": True,
            "head_type": "simple",
            "hidden_act": "silu",
            "initializer_range": 0.1,
            "model_type": "minicpm",
            "pretraining_tp": 1,
            "rope_scaling": None,
            "rope_theta": 10000.0,
            "scale_depth": 1.4,
            "scale_emb": 12,
            "start_layer": num_layers - _NUM_ROWS + 1,
            "torch_dtype": "float32",
            "transformers_version": "4.38.1",
            "use_cache": False,
            **sizes,
        },
    )
    for name in ("configuration_minicpm_reranker.py", "modeling_minicpm_reranker.py"):
        (folder / name).write_text(_HOSTILE, encoding="utf-8")
    return folder


def build_bge_gemma2(folder: Path, *, seed: int = 0, num_layers: int = NUM_LAYERS) -> Path:
    """bge-reranker-v2.5-gemma2-lightweight: Gemma 2, scored after any of the last three layers.

    The window of the local layers is 16 tokens: shorter than a usual test pair.
    """
    tokenizer = make_gemma_tokenizer()
    sizes: dict[str, Any] = {
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 64,
        "intermediate_size": 96,
        "max_position_embeddings": 8192,
        "num_attention_heads": 4,
        "num_hidden_layers": num_layers,
        "num_key_value_heads": 2,
        "query_pre_attn_scalar": 16,
        "rms_norm_eps": 1e-06,
        "sliding_window": 16,
        "vocab_size": round_up(len(tokenizer)),
    }
    config = Gemma2Config(**sizes)
    model = make_model(lambda: Gemma2Model(config), seed=seed, matrix_gain=_GAIN)
    _save_weights(folder, model, seed)
    tokenizer.save_pretrained(folder)
    write_json(
        folder / "config.json",
        {
            "_name_or_path": "BAAI/bge-reranker-v2.5-gemma2-lightweight",
            "architectures": ["CostWiseGemmaForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "auto_map": {
                "AutoConfig": "gemma_config.CostWiseGemmaConfig",
                "AutoModelForCausalLM": "gemma_model.CostWiseGemmaForCausalLM",
            },
            "bos_token_id": 2,
            "cache_implementation": "hybrid",
            "eos_token_id": 1,
            "hidden_act": "gelu_pytorch_tanh",
            "initializer_range": 0.02,
            "layer_sep": 1,
            "layer_wise": True,
            "model_type": "cost_wise_gemma",
            "pad_token_id": 0,
            "rope_theta": 10000.0,
            "sliding_window_size": 16,
            "start_layer": num_layers - _NUM_ROWS + 1,
            "torch_dtype": "float32",
            "transformers_version": "4.42.2",
            "use_cache": True,
            **sizes,
        },
    )
    for name in ("gemma_config.py", "gemma_model.py"):
        (folder / name).write_text(_HOSTILE, encoding="utf-8")
    return folder


def _save_weights(folder: Path, model: nn.Module, seed: int) -> None:
    """The layers as `model.…`, and a row of its own behind each layer from the first on."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    draw = torch.Generator().manual_seed(seed)
    width = next(iter(model.parameters())).shape[1]
    for row in range(_NUM_ROWS):
        weights[f"lm_head.{row}.linear_head.weight"] = 0.25 * torch.randn(1, width, generator=draw)
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
