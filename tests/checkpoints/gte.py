"""A tiny GTE reranker in the vendor's form: names, joint projections and settings of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import GteConfig, GteForSequenceClassification

from . import tokenizers as tok
from ._save import make_model, round_up, write_json

__all__ = ["build_gte"]

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "type_vocab_size": 1,
}
_PUBLISHED: dict[str, Any] = {
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
    "layer_norm_type": "layer_norm",
    "logn_attention_clip1": False,
    "logn_attention_scale": False,
    "pack_qkv": True,
    "position_embedding_type": "rope",
    "rope_scaling": {"factor": 8.0, "type": "ntk"},
    "rope_theta": 20000,
    "unpad_inputs": False,
    "use_memory_efficient_attention": False,
}
_RENAMED = {
    "gte.layers.": "new.encoder.layer.",
    "gte.": "new.",
    ".self_attn.": ".attention.",
    ".post_attention_layernorm.": ".attn_ln.",
    ".post_mlp_layernorm.": ".mlp_ln.",
}
# What the vendor keeps as one: rows below each other, in this order.
_JOINT = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "up_gate_proj": ("up_proj", "gate_proj")}


def build_gte(folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """Like gte-multilingual-reranker-base. settings: of config.json, over the published ones.

    Its Python files stop whoever runs them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tok.make_xlm_roberta_tokenizer()
    tokenizer.save_pretrained(folder)
    ids = {"vocab_size": round_up(len(tokenizer)), "pad_token_id": tokenizer.pad_token_id}
    labels: dict[str, Any] = {"num_labels": 1}
    config = GteConfig(**_SIZES, **ids, **labels)
    model = make_model(lambda: GteForSequenceClassification(config), seed=seed, matrix_gain=12.0)
    weights = _in_vendors_form(model.state_dict())
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", {**_SIZES, **ids, **_PUBLISHED, **settings})
    for name in ("configuration.py", "modeling.py"):
        (folder / name).write_text(
            "raise SystemExit('the vendor\\'s code ran')\n", encoding="utf-8"
        )
    return folder


def _in_vendors_form(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        for ours, theirs in _RENAMED.items():
            name = name.replace(ours, theirs)
        found[name] = tensor
    for joint, parts in _JOINT.items():
        for name in [name for name in found if f".{parts[0]}." in name]:
            own = [found.pop(name.replace(parts[0], part)) for part in parts]
            found[name.replace(parts[0], joint)] = torch.cat(own)
    return {name: tensor.contiguous() for name, tensor in found.items()}
