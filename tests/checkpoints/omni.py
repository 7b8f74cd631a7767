"""Tiny Qwen2.5-Omni and Qwen3-Omni checkpoints: the thinker alone, and the files of a whole model.

Nobody trained such a model as a reranker; here are the forms in which one can be met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file, save_file
from transformers import (
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5OmniConfig,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3OmniMoeConfig,
    Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from ._save import make_model, round_up
from ._templates import QWEN3_VL_CHAT
from .tokenizers import byte_bpe

__all__ = ["build_qwen2_5_omni", "build_qwen3_omni"]

Form = Literal["thinker", "whole"]
_HIDDEN = 64
_NUM_MELS = 16
_GAIN = 6.0
_DECODER: dict[str, Any] = {
    "hidden_size": _HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 32768,
}
_ROPE: dict[str, Any] = {
    "rope_type": "default",
    "rope_theta": 1000000.0,
    "mrope_section": [4, 2, 2],
}
_AUDIO: dict[str, Any] = {
    "d_model": 16,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "encoder_layers": 2,
    "num_mel_bins": _NUM_MELS,
    "output_dim": _HIDDEN,
}


@dataclass(frozen=True)
class _Words:
    """The words that stand for media, as the published tokenizers name them."""

    image: str
    video: str
    audio: str
    before_seen: str
    behind_seen: str
    before_heard: str
    behind_heard: str

    @property
    def named(self) -> dict[str, str]:
        """By the names that the media processors ask for."""
        return {
            "image_token": self.image,
            "video_token": self.video,
            "audio_token": self.audio,
            "vision_bos_token": self.before_seen,
            "vision_eos_token": self.behind_seen,
            "audio_bos_token": self.before_heard,
            "audio_eos_token": self.behind_heard,
        }


# Source: tokenizer_config.json of Qwen/Qwen2.5-Omni-3B and of Qwen/Qwen3-Omni-30B-A3B-Instruct.
_QWEN2_5 = _Words(
    "<|IMAGE|>",
    "<|VIDEO|>",
    "<|AUDIO|>",
    "<|vision_bos|>",
    "<|vision_eos|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
)
_QWEN3 = _Words(
    "<|image_pad|>",
    "<|video_pad|>",
    "<|audio_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|audio_start|>",
    "<|audio_end|>",
)


def build_qwen2_5_omni(folder: Path, *, seed: int = 0, form: Form = "thinker") -> Path:
    """form: "thinker" is a folder of the thinker alone; "whole" names talker and vocoder in its
    config.json and has the prefix `thinker.` in front of the weights, as the published one.
    """
    tokenizer = _tokenizer(_QWEN2_5)
    config = Qwen2_5OmniThinkerConfig(
        text_config=_text(tokenizer, rope_parameters=_ROPE),
        vision_config=_vision_2_5(),
        audio_config=_AUDIO,
        **_ids(tokenizer, _QWEN2_5, ending="index"),
    )
    _save(
        folder,
        lambda: Qwen2_5OmniThinkerForConditionalGeneration(config),
        _processor(Qwen2_5OmniProcessor, tokenizer, patch_px=14),
        seed,
    )
    if form == "whole":
        _as_whole(folder, Qwen2_5OmniConfig(thinker_config=config.to_dict()))
    return folder


def build_qwen3_omni(folder: Path, *, seed: int = 0, form: Form = "thinker") -> Path:
    """As above, with experts in the language model."""
    tokenizer = _tokenizer(_QWEN3)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    rope = {**_ROPE, "mrope_interleaved": True, "interleaved": True}
    config = Qwen3OmniMoeThinkerConfig(
        text_config=_text(tokenizer, rope_parameters=rope, **experts),
        vision_config=_vision_3(),
        audio_config={**_AUDIO, "downsample_hidden_size": 8},
        position_id_per_seconds=13,
        **_ids(tokenizer, _QWEN3, ending="id"),
    )
    _save(
        folder,
        lambda: Qwen3OmniMoeThinkerForConditionalGeneration(config),
        _processor(Qwen3OmniMoeProcessor, tokenizer, patch_px=16),
        seed,
    )
    if form == "whole":
        _as_whole(folder, Qwen3OmniMoeConfig(thinker_config=config.to_dict()))
    return folder


def _save(
    folder: Path, construct: Callable[[], PreTrainedModel], processor: ProcessorMixin, seed: int
) -> None:
    make_model(construct, seed=seed, matrix_gain=_GAIN).save_pretrained(folder)
    processor.save_pretrained(folder)


def _as_whole(folder: Path, config: Any) -> None:
    """The config of the whole model, and its names of the thinker's weights.

    A weight of a talker stands beside them: what is not read must do no harm.
    """
    config.architectures = [_WHOLE_CLASS[config.model_type]]
    config.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    whole = {f"thinker.{name}": value for name, value in weights.items()}
    whole["talker.codec_head.weight"] = next(iter(weights.values())).clone()
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})


# Source: config.json of Qwen/Qwen2.5-Omni-7B and of Qwen/Qwen3-Omni-30B-A3B-Instruct.
_WHOLE_CLASS = {
    "qwen2_5_omni": "Qwen2_5OmniModel",
    "qwen3_omni_moe": "Qwen3OmniMoeForConditionalGeneration",
}


def _tokenizer(words: _Words) -> Qwen2Tokenizer:
    vocab, merges = byte_bpe([], answers=("yes", "no"), qwen_splits=True)
    no_token: Any = None  # as in the published files; the signature asks for a str
    specials: Any = {"im_start_token": "<|im_start|>", **words.named}
    return Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token=no_token,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=specials,
        model_max_length=32768,
    )


def _ids(tokenizer: Qwen2Tokenizer, words: _Words, *, ending: str) -> dict[str, Any]:
    names = {
        f"image_token_{ending}": words.image,
        f"video_token_{ending}": words.video,
        f"audio_token_{ending}": words.audio,
        "vision_start_token_id": words.before_seen,
        "vision_end_token_id": words.behind_seen,
        "audio_start_token_id": words.before_heard,
        "audio_end_token_id": words.behind_heard,
    }
    return {name: tokenizer.convert_tokens_to_ids(word) for name, word in names.items()}


def _text(tokenizer: Qwen2Tokenizer, **more: Any) -> dict[str, Any]:
    return {
        **_DECODER,
        "vocab_size": round_up(len(tokenizer)),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
        **more,
    }


def _vision_2_5() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": _HIDDEN,
        "patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }


def _vision_3() -> dict[str, Any]:
    return {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": _HIDDEN,
        "patch_size": 16,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [0, 1],
    }


def _processor(cls: Any, tokenizer: Qwen2Tokenizer, *, patch_px: int) -> ProcessorMixin:
    """Media processors of the published settings, but for the number of mel bins."""
    token_px = (2 * patch_px) ** 2
    size = {"shortest_edge": 4 * token_px, "longest_edge": 1280 * token_px}
    shape: dict[str, Any] = {"patch_size": patch_px, "size": size}
    processor: ProcessorMixin = cls(
        image_processor=Qwen2VLImageProcessor(**shape),
        video_processor=Qwen2VLVideoProcessor(**shape),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=_NUM_MELS, return_attention_mask=True
        ),
        tokenizer=tokenizer,
        chat_template=QWEN3_VL_CHAT,  # a chat model's: it knows no query and no document
    )
    return processor
