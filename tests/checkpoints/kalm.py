"""A tiny KaLM-Reranker-V1: T5Gemma 2, whose encoder reads documents and whose decoder queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, T5Gemma2Config, T5Gemma2ForConditionalGeneration

from ._save import make_model, round_up, write_json
from .sentencepiece import make_gemma_tokenizer

__all__ = ["build_kalm"]

# Few tokens, so that over-long texts and far-off padding lie outside of it.
_SLIDING_WINDOW = 24
_GAIN = 3.0


def build_kalm(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """As the repositories are laid out: weights, tokenizer, and no word on how pairs are scored.

    with_st_files: beside them the ST files that name a class of the repository's own Python, whose
    names and contents are made up here.
    """
    tokenizer = _tokenizer()
    text = _text(round_up(len(tokenizer) + 2))
    # Rows for pictures that no text reaches, as there.
    special = {"eoi_token_index": len(tokenizer), "image_token_index": len(tokenizer) + 1}
    config = T5Gemma2Config(
        encoder={
            "text_config": text,
            "vision_config": _VISION,
            "mm_tokens_per_image": 4,
            **special,
        },
        decoder=text,
        image_token_index=special["image_token_index"],
    )
    construct = T5Gemma2ForConditionalGeneration
    make_model(lambda: construct(config), seed=seed, matrix_gain=_GAIN).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if with_st_files:
        _write_st_files(folder)
    return folder


def _text(vocab_size: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "query_pre_attn_scalar": 16,
        "sliding_window": _SLIDING_WINDOW,
        "layer_types": ["sliding_attention", "full_attention"],
    }


_VISION: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 16,
}


def _tokenizer() -> PreTrainedTokenizerBase:
    """Gemma's kind, which begins texts with <bos> unless told otherwise; no limit of its own."""
    tokenizer = make_gemma_tokenizer(answers=("yes", "no"), model_max_length=10**30)
    turns = ["<start_of_turn>", "<end_of_turn>"]
    tokenizer.add_special_tokens({"extra_special_tokens": turns})
    return tokenizer


def _write_st_files(folder: Path) -> None:
    module = {"idx": 0, "name": "0", "path": "", "type": "kalm_reranker_st.KaLMRerankerModule"}
    write_json(folder / "modules.json", [module])
    write_json(
        folder / "config_sentence_transformers.json",
        {"model_type": "CrossEncoder", "activation_fn": "kalm_reranker_st.Softmax", "prompts": {}},
    )
    (folder / "kalm_reranker_st.py").write_text("raise RuntimeError('this code was run')\n")
