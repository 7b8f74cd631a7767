"""Tiny causal language models that nobody trained as rerankers: plain folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from ._save import make_model, round_up
from ._templates import CHATML, CHATML_KNOWN_ROLES
from .tokenizers import make_qwen_tokenizer

__all__ = [
    "build_llama",
    "build_llama_without_yes_no",
    "build_qwen2_chatml",
    "build_qwen2_known_roles",
]

_BODY: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
_GAIN = 8.0


def build_llama(folder: Path, *, seed: int = 0) -> Path:
    """Llama without a chat template: query and document reach it as a bare text pair."""
    return _save_llama(folder, make_qwen_tokenizer(model_max_length=4096), seed)


def build_llama_without_yes_no(folder: Path, *, seed: int = 0) -> Path:
    """Llama whose vocabulary has neither `yes` nor `no`, and no unknown token either."""
    return _save_llama(folder, make_qwen_tokenizer(answers=(), model_max_length=4096), seed)


def build_qwen2_chatml(folder: Path, *, seed: int = 0) -> Path:
    """Qwen2 with a ChatML template that passes every role through, also query and document."""
    return _save_qwen2(folder, CHATML, seed)


def build_qwen2_known_roles(folder: Path, *, seed: int = 0) -> Path:
    """Qwen2 whose template renders system, user and assistant only and drops other roles."""
    return _save_qwen2(folder, CHATML_KNOWN_ROLES, seed)


def _save_llama(folder: Path, tokenizer: PreTrainedTokenizerBase, seed: int) -> Path:
    config = LlamaConfig(
        **_BODY,
        vocab_size=round_up(len(tokenizer)),
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = make_model(lambda: LlamaForCausalLM(config), seed=seed, matrix_gain=_GAIN)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _save_qwen2(folder: Path, chat_template: str, seed: int) -> Path:
    tokenizer = make_qwen_tokenizer(model_max_length=4096)
    tokenizer.chat_template = chat_template
    config = Qwen2Config(
        **_BODY,
        vocab_size=round_up(len(tokenizer)),
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = make_model(lambda: Qwen2ForCausalLM(config), seed=seed, matrix_gain=_GAIN)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
