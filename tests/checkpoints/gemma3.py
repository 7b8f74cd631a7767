"""A tiny Gemma-3 chat model with pictures: what a user may name a processor for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from ._save import make_model, round_up
from .tokenizers import make_qwen_tokenizer

__all__ = ["GEMMA3_IMAGE", "build_gemma3"]

GEMMA3_IMAGE = "<start_of_image>"
_TURNS = {"start_of_turn": "<start_of_turn>", "end_of_turn": "<end_of_turn>"}
# The processor looks for the first in a prompt, and writes the last between the two.
_MEDIA = {
    "boi_token": GEMMA3_IMAGE,
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
}
_NUM_IMAGE_TOKENS = 4
_SIDE_PX = 64


def build_gemma3(folder: Path, *, seed: int = 0) -> Path:
    """With a chat template that knows no pairs; pictures become 64 x 64 px and 4 tokens."""
    tokenizer = _tokenizer()
    ids: dict[str, Any] = {
        "boi_token_index": tokenizer.convert_tokens_to_ids(_MEDIA["boi_token"]),
        "eoi_token_index": tokenizer.convert_tokens_to_ids(_MEDIA["eoi_token"]),
        "image_token_index": tokenizer.convert_tokens_to_ids(_MEDIA["image_token"]),
    }
    config = Gemma3Config(
        text_config=_text(tokenizer),
        vision_config=_VISION,
        mm_tokens_per_image=_NUM_IMAGE_TOKENS,
        **ids,
    )
    construct = Gemma3ForConditionalGeneration
    make_model(lambda: construct(config), seed=seed, matrix_gain=6.0).save_pretrained(folder)
    Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size={"height": _SIDE_PX, "width": _SIDE_PX}),
        tokenizer=tokenizer,
        image_seq_length=_NUM_IMAGE_TOKENS,
        chat_template=_CHAT,
    ).save_pretrained(folder)
    return folder


_CHAT = (
    "{%- for m in messages if m.role in ('user', 'model') -%}"
    "<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{%- endfor -%}"
)
_VISION: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": _SIDE_PX,
    "patch_size": 16,
}


def _text(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": round_up(len(tokenizer)),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": 1024,
        "layer_types": ["sliding_attention", "full_attention"],
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
    }


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level as the others here, with Gemma's words for turns and pictures."""
    words: Any = {**_TURNS, **_MEDIA}
    return PreTrainedTokenizerFast(
        tokenizer_object=make_qwen_tokenizer().backend_tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=words,
        model_max_length=4096,
    )
