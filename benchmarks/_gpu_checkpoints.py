"""Rerankers of published sizes with random weights, made on the device: no large file is written.

The test builders' files (tokenizer, template, head) are loaded by both libraries with tiny weights.
Then one model of the real sizes takes the tiny one's place in both, so that they compute with the
same weights, which are in memory once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import CrossEncoder as Peer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.base.modules.transformer import Transformer
from sentence_transformers.sentence_transformer.modules.layer_norm import LayerNorm
from sentence_transformers.sentence_transformer.modules.pooling import Pooling
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMultimodalLM,
    AutoModelForSequenceClassification,
)

from mmrerank import CrossEncoder
from tests.checkpoints import build_bert, build_modernbert, build_qwen3_vl, build_xlm_roberta

__all__ = ["SHAPES", "TINY_SHAPES", "Place", "Rerankers", "Shape", "make_model", "make_rerankers"]

_MAX_ENCODER_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """files: writes the tiny checkpoint. auto: transformers' class of the model in it.

    sizes: of the config, what the real one has otherwise than the tiny one; parts of it by name.
    """

    files: Callable[[Path], Path]
    auto: Any
    sizes: Mapping[str, Any]

    @property
    def is_multimodal(self) -> bool:
        """Whether it reads pictures, from prompts of a chat template."""
        return self.auto is AutoModelForMultimodalLM


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a model computes. attention: transformers' name of an implementation."""

    device: torch.device
    dtype: torch.dtype
    attention: str = "sdpa"


@dataclass(frozen=True, slots=True)
class Rerankers:
    """Both libraries around one model. folder: the checkpoint's files."""

    peer: Any
    ours: CrossEncoder
    model: Any
    folder: Path


def make_rerankers(shape: Shape, folder: Path, place: Place) -> Rerankers:
    """Both libraries' models of a shape, with the same random weights."""
    shape.files(folder)
    limit = {} if shape.is_multimodal else {"max_length": _MAX_ENCODER_TOKENS}
    peer = Peer(str(folder), device="cpu", **limit)
    ours = CrossEncoder(str(folder), device="cpu", **limit)
    model = make_model(shape, folder, place)
    peer[0].model = ours.transformer.model = model
    # The peer asks the model when it is loaded whether rows can go without padding.
    peer[0].unpad_inputs = peer[0].unpad_inputs
    for reranker in (peer, ours):
        for module in list(reranker)[1:]:  # heads that have weights of their own
            module.to(device=place.device, dtype=place.dtype)
    return Rerankers(peer, ours, model, folder)


def make_model(shape: Shape, folder: Path, place: Place) -> nn.Module:
    """The transformers model alone, of `folder`'s config in the shape's sizes, which is rewritten.

    Made in its numbers and on its device from the start: no second copy, no move.
    """
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(_merged(config, shape.sizes)), encoding="utf-8")
    torch.manual_seed(0)
    with torch.device(place.device):
        model: nn.Module = shape.auto.from_config(
            AutoConfig.from_pretrained(folder),
            dtype=place.dtype,
            attn_implementation=place.attention,
        )
        _enliven(model)
    return model.eval().requires_grad_(False)


def _enliven(model: Any) -> None:
    """Fresh matrices of a narrow model add next to nothing, and all pairs would score alike.

    50 is 1 / 0.02, the standard deviation that they are made with: then each keeps a state's size.
    """
    gain = 50.0 / model.config.get_text_config().hidden_size ** 0.5
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(gain)


def _merged(config: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """The config with other sizes; what it says layer by layer was made for the tiny one."""
    kept = {name: value for name, value in config.items() if name != "layer_types"}
    return kept | {
        name: _merged(kept.get(name, {}), value) if isinstance(value, Mapping) else value
        for name, value in sizes.items()
    }


# ---------------------------------------------------------------- published sizes


def _vl_sizes(text: Mapping[str, Any], vision: Mapping[str, Any]) -> dict[str, Any]:
    """Of a Qwen3-VL. Source: config.json of Qwen/Qwen3-VL-2B-Instruct and -8B-Instruct."""
    sections = {"mrope_section": [24, 20, 20]}
    common = {"vocab_size": 151_936, "head_dim": 128, "num_key_value_heads": 8}
    return {
        "text_config": {**common, **text, "rope_parameters": sections},
        "vision_config": {"num_heads": 16, "num_position_embeddings": 2_304, **vision},
    }


_QWEN3_VL_2B = _vl_sizes(
    {"hidden_size": 2_048, "num_hidden_layers": 28, "intermediate_size": 6_144}
    | {"num_attention_heads": 16},
    {"depth": 24, "hidden_size": 1_024, "intermediate_size": 4_096, "out_hidden_size": 2_048}
    | {"deepstack_visual_indexes": [5, 11, 17]},
)
_QWEN3_VL_8B = _vl_sizes(
    {"hidden_size": 4_096, "num_hidden_layers": 36, "intermediate_size": 12_288}
    | {"num_attention_heads": 32, "tie_word_embeddings": False},
    {"depth": 27, "hidden_size": 1_152, "intermediate_size": 4_304, "out_hidden_size": 4_096}
    | {"deepstack_visual_indexes": [8, 16, 24]},
) | {"tie_word_embeddings": False}
_MINILM_L6 = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}
_MINILM_L6 |= {"intermediate_size": 1_536, "vocab_size": 30_522}
_BGE_M3 = {"hidden_size": 1_024, "num_hidden_layers": 24, "num_attention_heads": 16}
_BGE_M3 |= {"intermediate_size": 4_096, "vocab_size": 250_002, "max_position_embeddings": 8_194}
_ETTIN_150M = {"hidden_size": 768, "num_hidden_layers": 22, "num_attention_heads": 12}
_ETTIN_150M |= {"intermediate_size": 1_152, "vocab_size": 50_368, "local_attention": 128}


def _chain_files(folder: Path, hidden_size: int) -> Path:
    """ModernBERT with Pooling, Dense, LayerNorm and Dense behind it, as in the ettin rerankers."""
    modules = [
        Transformer(str(build_modernbert(folder / "backbone"))),
        Pooling(hidden_size, pooling_mode="cls"),
        Dense(hidden_size, hidden_size, bias=False, activation_function=nn.GELU()),
        LayerNorm(hidden_size),
        Dense(hidden_size, 1, activation_function=nn.Identity(), module_output_name="scores"),
    ]
    Peer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


SHAPES: Mapping[str, Shape] = {
    "qwen3-vl-2b": Shape(build_qwen3_vl, AutoModelForMultimodalLM, _QWEN3_VL_2B),
    "qwen3-vl-8b": Shape(build_qwen3_vl, AutoModelForMultimodalLM, _QWEN3_VL_8B),
    "minilm-l6": Shape(build_bert, AutoModelForSequenceClassification, _MINILM_L6),
    "bge-v2-m3": Shape(build_xlm_roberta, AutoModelForSequenceClassification, _BGE_M3),
    "ettin-150m": Shape(lambda folder: _chain_files(folder, 768), AutoModel, _ETTIN_150M),
}
# Small enough for a processor, and put together in the same way.
TINY_SHAPES: Mapping[str, Shape] = {
    "qwen3-vl-2b": replace(SHAPES["qwen3-vl-2b"], sizes={}),
    "qwen3-vl-8b": replace(SHAPES["qwen3-vl-8b"], sizes={"tie_word_embeddings": False}),
    "minilm-l6": replace(SHAPES["minilm-l6"], sizes={}),
    "bge-v2-m3": replace(SHAPES["bge-v2-m3"], sizes={}),
    "ettin-150m": Shape(lambda folder: _chain_files(folder, 32), AutoModel, {}),
}
