"""Tiny encoder-decoder rerankers with the config files of the published ones.

T5 of the first version ties its output layer to the embeddings and scales the decoder's states;
mT5, like T5 1.1, has an output layer of its own and gated layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import (
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)

from ._save import make_model, round_up, write_json
from .tokenizers import make_t5_tokenizer

__all__ = ["build_mt5", "build_t5", "build_t5_v1_1"]

_SIZES: dict[str, Any] = {
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 96,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 32,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "initializer_factor": 1.0,
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "is_encoder_decoder": True,
    "output_past": True,
    "use_cache": True,
}
_GAIN = 1.6


def build_t5(folder: Path, *, seed: int = 0) -> Path:
    """T5 of the first version, as config.json of castorini/monot5-base-msmarco says."""
    tokenizer = make_t5_tokenizer()
    sizes = {**_SIZES, "feed_forward_proj": "relu", "vocab_size": round_up(len(tokenizer))}
    model = make_model(
        lambda: T5ForConditionalGeneration(T5Config(**sizes)), seed=seed, matrix_gain=_GAIN
    )
    return _save(folder, model, tokenizer, {**sizes, "model_type": "t5", "n_positions": 512})


def build_t5_v1_1(folder: Path, *, seed: int = 0) -> Path:
    """T5 1.1, as config.json of google/t5-v1_1-base says."""
    return _build_untied(folder, "t5", make_t5_tokenizer(), seed)


def build_mt5(folder: Path, *, seed: int = 0) -> Path:
    """mT5, as config.json of unicamp-dl/mt5-base-mmarco-v2 says.

    Its tokenizer has no limit and no extra ids.
    """
    tokenizer = make_t5_tokenizer(num_extra_ids=0, model_max_length=None)
    return _build_untied(folder, "mt5", tokenizer, seed)


def _build_untied(
    folder: Path, model_type: Literal["t5", "mt5"], tokenizer: T5Tokenizer, seed: int
) -> Path:
    vocab_size = round_up(len(tokenizer))
    sizes = {**_SIZES, "feed_forward_proj": "gated-gelu", "vocab_size": vocab_size}
    sizes["tie_word_embeddings"] = False
    config: Any = T5Config(**sizes) if model_type == "t5" else MT5Config(**sizes)
    cls: Any = T5ForConditionalGeneration if model_type == "t5" else MT5ForConditionalGeneration
    model: Any = make_model(lambda: cls(config), seed=seed, matrix_gain=_GAIN)
    own = torch.randn(vocab_size, sizes["d_model"], generator=torch.Generator().manual_seed(seed))
    model.lm_head.weight = nn.Parameter(own * sizes["d_model"] ** -0.5)
    return _save(folder, model, tokenizer, {**sizes, "model_type": model_type})


def _save(
    folder: Path, model: PreTrainedModel, tokenizer: T5Tokenizer, config: dict[str, Any]
) -> Path:
    """config: content of config.json in the words of transformers 4, which published these."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    write_json(
        folder / "config.json",
        {**config, "architectures": [type(model).__name__], "transformers_version": "4.11.3"},
    )
    return folder
