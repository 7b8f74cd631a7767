"""Tiny rerankers on Qwen3.5, whose layers are of two kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transformers import (
    PreTrainedModel,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3_5Config,
    Qwen3_5ForCausalLM,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5TextConfig,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from ._save import make_model
from ._st_files import write_logit_score_files
from ._templates import CHATML_KNOWN_ROLES, LIGHTON_RERANK, PRISM_RERANKER
from .qwen2_vl import HIDDEN, ROPE, TEXT, VISION, vision_ids, vocabulary_fields
from .tokenizers import make_qwen_tokenizer

__all__ = ["build_lighton_rerank_pw", "build_prism_reranker", "qwen3_5_config", "save_processor"]


def build_lighton_rerank_pw(folder: Path, *, seed: int = 0) -> Path:
    """LightOn-rerank-PW: a Qwen3.5 with sentence-transformers files, Yes minus No."""
    tokenizer = make_qwen_tokenizer(answers=("Yes", "No"), model_max_length=16384)
    make_model(
        lambda: Qwen3_5ForConditionalGeneration(qwen3_5_config(tokenizer)),
        seed=seed,
        matrix_gain=4.0,
    ).save_pretrained(folder)
    save_processor(folder, tokenizer, LIGHTON_RERANK)
    write_logit_score_files(
        folder,
        tokenizer,
        task="any-to-any",
        modalities=["text", "image"],
        message_format="structured",
        prompts={},
        answers=("Yes", "No"),
    )
    return folder


def build_prism_reranker(
    folder: Path,
    *,
    seed: int = 0,
    with_st_files: bool = True,
    backbone: Literal["qwen3_5", "qwen3"] = "qwen3_5",
) -> Path:
    """Prism-Reranker: a Qwen3.5 of text alone, yes minus no; the -4B-exp one is a Qwen3.

    with_st_files: and with the template that the vendor publishes; else with an ordinary one.
    """
    tokenizer = make_qwen_tokenizer(answers=("yes", "no"), model_max_length=16384)
    tokenizer.chat_template = PRISM_RERANKER if with_st_files else CHATML_KNOWN_ROLES
    make_model(lambda: _prism(tokenizer, backbone), seed=seed, matrix_gain=4.0).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    if with_st_files:
        write_logit_score_files(
            folder,
            tokenizer,
            task="text-generation",
            modalities=["text"],
            message_format="flat",
            prompts={},
            activation="torch.nn.modules.activation.Sigmoid",
        )
    return folder


def save_processor(folder: Path, tokenizer: Qwen2Tokenizer, template: str) -> None:
    """Tokenizer, media files and a chat template."""
    normalise: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    size = {"shortest_edge": 4 * 1024, "longest_edge": 64 * 1024}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=16, size=size, **normalise),
        video_processor=Qwen3VLVideoProcessor(size=size),
        tokenizer=tokenizer,
    )
    processor.chat_template = template
    processor.save_pretrained(folder)


def _prism(tokenizer: Qwen2Tokenizer, backbone: str) -> PreTrainedModel:
    if backbone == "qwen3_5":
        return Qwen3_5ForCausalLM(Qwen3_5TextConfig(**_text_fields(tokenizer)))
    fields = {**TEXT, **vocabulary_fields(tokenizer), "tie_word_embeddings": True}
    return Qwen3ForCausalLM(
        Qwen3Config(**fields, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    )


def qwen3_5_config(tokenizer: Qwen2Tokenizer, *, is_tied: bool = True) -> Qwen3_5Config:
    """A tiny config with a tower for pictures. is_tied: words are written as they are read."""
    vision = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": HIDDEN}
    return Qwen3_5Config(
        text_config={**_text_fields(tokenizer), "tie_word_embeddings": is_tied},
        vision_config={**VISION, **vision, "patch_size": 16, "num_position_embeddings": 256},
        tie_word_embeddings=is_tied,
        **vision_ids(tokenizer),
    )


def _text_fields(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    linear = {"linear_key_head_dim": 16, "linear_value_head_dim": 16}
    heads = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "head_dim": 16}
    rope = {**ROPE, "mrope_interleaved": True, "partial_rotary_factor": 1.0}
    return {
        **TEXT,
        **linear,
        **heads,
        "rope_parameters": rope,
        "tie_word_embeddings": True,
        "layer_types": ["linear_attention", "full_attention"],
        **vocabulary_fields(tokenizer),
    }
