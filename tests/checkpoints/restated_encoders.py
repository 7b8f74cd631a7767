"""Tiny encoders in their vendors' form, which transformers computes by classes of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    GteConfig,
    GteForSequenceClassification,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from . import tokenizers as tok
from ._save import make_model, round_up, write_json

__all__ = ["build_gte", "build_jina_v2"]

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "type_vocab_size": 1,
}
_ONE_LABEL: dict[str, Any] = {"num_labels": 1}
_PUBLISHED_GTE: dict[str, Any] = {
    "architectures": ["NewForSequenceClassification"],
    "auto_map": {
        "AutoConfig": "configuration.NewConfig",
        "AutoModelForSequenceClassification": "modeling.NewForSequenceClassification",
    },
    "model_type": "new",
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "id2label": {"0": "LABEL_0"},
    "initializer_range": 0.02,
    "label2id": {"LABEL_0": 0},
    "layer_norm_eps": 1e-12,
    "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False,
    "logn_attention_scale": False,
    "max_position_embeddings": 512,
    "pack_qkv": True,
    "position_embedding_type": "rope",
    "rope_scaling": {"factor": 8.0, "type": "ntk"},
    "rope_theta": 20000,
    "unpad_inputs": False,
    "use_memory_efficient_attention": False,
}
# In their order: what is renamed by one line is not found by those behind it.
_GTE_NAMES = {
    "gte.layers.": "new.encoder.layer.",
    "gte.": "new.",
    ".self_attn.": ".attention.",
    ".post_attention_layernorm.": ".attn_ln.",
    ".post_mlp_layernorm.": ".mlp_ln.",
}
_GTE_JOINT = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "up_gate_proj": ("up_proj", "gate_proj")}

_PUBLISHED_JINA: dict[str, Any] = {
    "architectures": ["XLMRobertaForSequenceClassification"],
    "auto_map": {
        "AutoConfig": "configuration_xlm_roberta.XLMRobertaFlashConfig",
        "AutoModelForSequenceClassification": (
            "modeling_xlm_roberta.XLMRobertaForSequenceClassification"
        ),
    },
    "attention_probs_dropout_prob": 0.1,
    "bos_token_id": 0,
    "classifier_dropout": None,
    "emb_pooler": None,
    "eos_token_id": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "id2label": {"0": "LABEL_0"},
    "initializer_range": 0.02,
    "label2id": {"LABEL_0": 0},
    "layer_norm_eps": 1e-05,
    "load_trained_adapters": False,
    "lora_adaptations": None,
    "lora_alpha": 1,
    "lora_dropout_p": 0.0,
    "lora_main_params_trainable": False,
    "lora_rank": 4,
    "matryoshka_dimensions": None,
    "max_position_embeddings": 1026,
    "position_embedding_type": "absolute",
    "truncate_dim": None,
    "use_cache": False,
    "use_flash_attn": True,
}
_JINA_NAMES = {
    "embeddings.LayerNorm.": "emb_ln.",
    "encoder.layer.": "encoder.layers.",
    "attention.self.": "mixer.",
    "attention.output.dense.": "mixer.out_proj.",
    "attention.output.LayerNorm.": "norm1.",
    "intermediate.dense.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
    "output.LayerNorm.": "norm2.",
}
_JINA_JOINT = {"Wqkv": ("query", "key", "value")}


def build_gte(folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """Like gte-multilingual-reranker-base. settings: of config.json, over the published ones.

    The Python files of both stop whoever runs them.
    """
    tokenizer = _saved_tokenizer(folder)
    ids = {"vocab_size": round_up(len(tokenizer)), "pad_token_id": tokenizer.pad_token_id}
    config = GteConfig(**_SIZES, **ids, **_ONE_LABEL)
    model = make_model(lambda: GteForSequenceClassification(config), seed=seed, matrix_gain=12.0)
    write_json(folder / "config.json", {**_SIZES, **ids, **_PUBLISHED_GTE, **settings})
    return _write(folder, model, _GTE_NAMES, _GTE_JOINT, ("configuration", "modeling"))


def build_jina_v2(folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """Like jina-reranker-v2-base-multilingual. settings: as above; None takes one out."""
    tokenizer = _saved_tokenizer(folder)
    ids = {"vocab_size": round_up(len(tokenizer)), "pad_token_id": tokenizer.pad_token_id}
    config = XLMRobertaConfig(**_SIZES, **ids, **_ONE_LABEL, max_position_embeddings=1026)
    construct = XLMRobertaForSequenceClassification
    model = make_model(lambda: construct(config), seed=seed, matrix_gain=12.0)
    said = {**_SIZES, **ids, **_PUBLISHED_JINA, **settings}
    left_out = {name for name, value in settings.items() if value is None}
    write_json(folder / "config.json", {k: v for k, v in said.items() if k not in left_out})
    files = ("configuration_xlm_roberta", "modeling_xlm_roberta")
    return _write(folder, model, _JINA_NAMES, _JINA_JOINT, files)


def _saved_tokenizer(folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tok.make_xlm_roberta_tokenizer()
    tokenizer.save_pretrained(folder)
    return tokenizer


def _write(
    folder: Path,
    model: PreTrainedModel,
    names: Mapping[str, str],
    joint: Mapping[str, tuple[str, ...]],
    files: tuple[str, ...],
) -> Path:
    weights: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        weights[name] = tensor
    for own_name, parts in joint.items():  # rows below each other
        for name in [name for name in weights if f".{parts[0]}." in name]:
            rows = [weights.pop(name.replace(parts[0], part)) for part in parts]
            weights[name.replace(parts[0], own_name)] = torch.cat(rows)
    own = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(own, folder / "model.safetensors", metadata={"format": "pt"})
    for file in files:
        code = "raise SystemExit('the vendor\\'s code ran')\n"
        (folder / f"{file}.py").write_text(code, encoding="utf-8")
    return folder
