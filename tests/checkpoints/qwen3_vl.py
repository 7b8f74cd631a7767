"""Tiny Qwen3-VL rerankers: the forms in which the published ones can be met."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from ._save import make_model, round_up, write_json
from ._st_files import write_logit_score_files
from ._templates import QWEN3_VL_CHAT, QWEN3_VL_RERANKER
from .tokenizers import QWEN_VISION_TOKENS, make_qwen_tokenizer

__all__ = [
    "QWEN3_VL_INSTRUCTION",
    "TemplateLayout",
    "build_qwen3_vl",
    "build_qwen3_vl_one_template",
    "build_qwen3_vl_plain",
]

TemplateLayout = Literal["jinja-files", "legacy-json", "tokenizer-json"]
QWEN3_VL_INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
_PIXELS_PER_TOKEN = 32 * 32  # patches of 16 px, merged 2 x 2
_NORMALISE: dict[str, Any] = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_GAIN = 8.0


def build_qwen3_vl(
    folder: Path, *, seed: int = 0, template_layout: TemplateLayout = "jinja-files"
) -> Path:
    """Qwen3-VL-Reranker with sentence-transformers files and a template named `reranker`.

    template_layout: where the two templates lie. "jinja-files": `chat_template.jinja` and
        `additional_chat_templates/reranker.jinja`; "legacy-json": both in `chat_template.json`;
        "tokenizer-json": both in `tokenizer_config.json`, as older versions saved them.
    """
    processor = _make_processor()
    processor.chat_template = {"default": QWEN3_VL_CHAT, "reranker": QWEN3_VL_RERANKER}
    _save(folder, processor, seed)
    if template_layout != "jinja-files":
        (folder / "chat_template.jinja").unlink()
        shutil.rmtree(folder / "additional_chat_templates")
    if template_layout == "legacy-json":
        write_json(folder / "chat_template.json", {"chat_template": processor.chat_template})
    if template_layout == "tokenizer-json":
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        named = [{"name": n, "template": t} for n, t in processor.chat_template.items()]
        write_json(folder / "tokenizer_config.json", {**settings, "chat_template": named})
    write_logit_score_files(
        folder,
        processor.tokenizer,
        task="any-to-any",
        modalities=["text", "image", "video"],
        message_format="structured",
        prompts={"query": QWEN3_VL_INSTRUCTION},
        processing_kwargs={"chat_template": {"chat_template": "reranker"}},
    )
    return folder


def build_qwen3_vl_one_template(folder: Path, *, seed: int = 0) -> Path:
    """The same weights where the reranker template is the only one, and no prompt is stored."""
    processor = _make_processor()
    processor.chat_template = QWEN3_VL_RERANKER
    _save(folder, processor, seed)
    write_logit_score_files(
        folder,
        processor.tokenizer,
        task="any-to-any",
        modalities=["text", "image", "video"],
        message_format="structured",
        prompts={},
    )
    return folder


def build_qwen3_vl_plain(folder: Path, *, seed: int = 0) -> Path:
    """The same weights as a chat model's folder: default template, older processor files."""
    processor = _make_processor()
    _make_model(processor.tokenizer, seed).save_pretrained(folder)
    processor.tokenizer.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)
    processor.video_processor.save_pretrained(folder)
    write_json(folder / "chat_template.json", {"chat_template": QWEN3_VL_CHAT})
    return folder


def _save(folder: Path, processor: Qwen3VLProcessor, seed: int) -> None:
    _make_model(processor.tokenizer, seed).save_pretrained(folder)
    processor.save_pretrained(folder)


def _make_processor() -> Qwen3VLProcessor:
    tokenizer = make_qwen_tokenizer(model_max_length=32768)
    image_size = {"shortest_edge": 4 * _PIXELS_PER_TOKEN, "longest_edge": 1280 * _PIXELS_PER_TOKEN}
    video_size = {"shortest_edge": 4 * _PIXELS_PER_TOKEN, "longest_edge": 768 * _PIXELS_PER_TOKEN}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=16, size=image_size, **_NORMALISE),
        video_processor=Qwen3VLVideoProcessor(size=video_size),
        tokenizer=tokenizer,
    )


def _make_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen3VLForConditionalGeneration:
    text = {
        "vocab_size": round_up(len(tokenizer)),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 32768,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5000000.0,
            "mrope_section": [4, 2, 2],
            "mrope_interleaved": True,
        },
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    vision = {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": 64,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [0, 1],
    }
    names = {
        "image_token_id": QWEN_VISION_TOKENS["image_token"],
        "video_token_id": QWEN_VISION_TOKENS["video_token"],
        "vision_start_token_id": QWEN_VISION_TOKENS["vision_bos_token"],
        "vision_end_token_id": QWEN_VISION_TOKENS["vision_eos_token"],
    }
    ids: dict[str, Any] = {
        name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()
    }
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        **ids,
    )
    construct = Qwen3VLForConditionalGeneration
    return make_model(lambda: construct(config), seed=seed, matrix_gain=_GAIN)
