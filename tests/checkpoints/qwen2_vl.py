"""Tiny rerankers on Qwen2-VL and Qwen2.5-VL, laid out like the published repositories.

None of them has sentence-transformers files. Published folders of Qwen2-VL have an older
layout than transformers writes today: text fields at the top of config.json, layers named
`model.layers` and `visual`, the chat template in a json file of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from ._save import make_model, round_up, write_json
from ._templates import QWEN2_VL_CHAT
from .tokenizers import QWEN_VISION_TOKENS, make_qwen_tokenizer

__all__ = [
    "HIDDEN",
    "ROPE",
    "TEXT",
    "VISION",
    "build_jina_reranker_m0",
    "build_lychee_rerank_mm",
    "build_monoqwen2_vl",
    "build_multimodal_qwen_logit_reranker",
    "vision_ids",
    "vocabulary_fields",
]

_GAIN = 8.0
HIDDEN = 64
TEXT: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
}
ROPE: dict[str, Any] = {
    "rope_type": "default",
    "rope_theta": 1000000.0,
    "mrope_section": [2, 3, 3],
}
VISION: dict[str, Any] = {
    "depth": 2,
    "num_heads": 2,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}


def build_jina_reranker_m0(folder: Path, *, seed: int = 0, num_files: Literal[1, 2] = 1) -> Path:
    """jina-reranker-m0: Qwen2-VL without output layer, an MLP, Python files that must not run.

    num_files: 2 cuts the weights into two files with an index, the MLP in the second.
    """
    tokenizer = make_qwen_tokenizer(model_max_length=32768)
    _save_older_layout(folder, _make_qwen2_vl(tokenizer, seed), tokenizer)
    weights = load_file(folder / "model.safetensors")
    weights.pop("lm_head.weight", None)
    generator = torch.Generator().manual_seed(seed)
    sizes = {"score.0": (HIDDEN, HIDDEN), "score.2": (1, HIDDEN)}
    for name, (num_out, num_in) in sizes.items():
        weights[f"{name}.weight"] = torch.randn(num_out, num_in, generator=generator) * 0.4
        weights[f"{name}.bias"] = torch.randn(num_out, generator=generator)
    _save_weights(folder, weights, num_files)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["JinaVLForRanking"]
    config["auto_map"] = {"AutoModel": "modeling.JinaVLForRanking"}
    write_json(folder / "config.json", config)
    (folder / "modeling.py").write_text("raise RuntimeError('the vendor code was run')\n")
    return folder


def build_monoqwen2_vl(folder: Path, *, seed: int = 0) -> Path:
    """MonoQwen2-VL: an ordinary Qwen2-VL, asked for True or False."""
    tokenizer = make_qwen_tokenizer(answers=("True", "False"), model_max_length=32768)
    return _save_older_layout(folder, _make_qwen2_vl(tokenizer, seed), tokenizer)


def build_lychee_rerank_mm(folder: Path, *, seed: int = 0) -> Path:
    """lychee-rerank-mm: an ordinary Qwen2.5-VL, asked for yes or no."""
    tokenizer = make_qwen_tokenizer(model_max_length=32768)
    return _save(folder, _make_qwen2_5_vl(tokenizer, seed), tokenizer)


def build_multimodal_qwen_logit_reranker(
    folder: Path, *, seed: int = 0, form: Literal["adapter", "whole"] = "whole"
) -> Path:
    """MultimodalQwenLogitReranker: a Qwen2.5-VL, asked for Yes or No.

    form: "adapter" as published, for the base in the folder `<name>-base` beside it; "whole" is
        such a base alone.
    """
    tokenizer = make_qwen_tokenizer(answers=("Yes", "No"), model_max_length=32768)
    model = _make_qwen2_5_vl(tokenizer, seed)
    if form == "whole":
        return _save(folder, model, tokenizer)
    from peft import LoraConfig

    base = _save(folder.parent / f"{folder.name}-base", model, tokenizer)
    model.name_or_path = str(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.add_adapter(
            LoraConfig(
                r=4,
                lora_alpha=8,
                target_modules=r".*language_model.*\.(q_proj|v_proj)",
                init_lora_weights=False,
                base_model_name_or_path=str(base),
            )
        )
    model.save_pretrained(folder)
    return folder


def _make_qwen2_vl(tokenizer: Qwen2Tokenizer, seed: int) -> PreTrainedModel:
    config = Qwen2VLConfig(
        text_config={**TEXT, "rope_parameters": ROPE, **vocabulary_fields(tokenizer)},
        vision_config={**VISION, "embed_dim": 32, "hidden_size": HIDDEN, "mlp_ratio": 2},
        tie_word_embeddings=True,
        **vision_ids(tokenizer),
    )
    return make_model(lambda: Qwen2VLForConditionalGeneration(config), seed=seed, matrix_gain=_GAIN)


def _make_qwen2_5_vl(tokenizer: Qwen2Tokenizer, seed: int) -> PreTrainedModel:
    vision = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": HIDDEN}
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, "rope_parameters": ROPE, **vocabulary_fields(tokenizer)},
        vision_config={**VISION, **vision, "window_size": 56, "fullatt_block_indexes": [1]},
        tie_word_embeddings=True,
        **vision_ids(tokenizer),
    )
    return make_model(
        lambda: Qwen2_5_VLForConditionalGeneration(config), seed=seed, matrix_gain=_GAIN
    )


def vocabulary_fields(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": round_up(len(tokenizer)),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def vision_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    names = {"vision_start": "vision_bos_token", "vision_end": "vision_eos_token"}
    tokens = {"image": "image_token", "video": "video_token", **names}
    return {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(QWEN_VISION_TOKENS[token])
        for name, token in tokens.items()
    }


def _save(folder: Path, model: PreTrainedModel, tokenizer: Qwen2Tokenizer) -> Path:
    """Weights as transformers writes them, and the media files of Qwen2-VL's time."""
    model.save_pretrained(folder)
    processor = Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=3136, max_pixels=12845056),
        video_processor=Qwen2VLVideoProcessor(),
        tokenizer=tokenizer,
    )
    tokenizer.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)
    write_json(folder / "chat_template.json", {"chat_template": QWEN2_VL_CHAT})
    return folder


def _save_older_layout(folder: Path, model: PreTrainedModel, tokenizer: Qwen2Tokenizer) -> Path:
    """The text model's fields at the top of config.json, and its rope as it was written then."""
    _save(folder, model, tokenizer)
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    text.pop("rope_parameters")
    text.pop("model_type")
    rope = {"type": "mrope", "mrope_section": ROPE["mrope_section"]}
    write_json(
        folder / "config.json",
        {**text, **config, "rope_theta": ROPE["rope_theta"], "rope_scaling": rope},
    )
    return folder


def _save_weights(folder: Path, weights: dict[str, torch.Tensor], num_files: int) -> None:
    if num_files == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    (folder / "model.safetensors").unlink()
    file_of = {
        key: f"model-0000{1 + key.startswith('score.')}-of-00002.safetensors" for key in weights
    }
    for file in sorted(set(file_of.values())):
        part = {key: weights[key] for key in weights if file_of[key] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": file_of})
