"""A tiny model of each architecture that is listed as packed, and the media that it takes.

Straight from the config classes: no tokenizer, no files. Matrices are large enough that attention
is far from uniform; windows and caps are small enough that they matter in every layer that has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import transformers as hf
from transformers import PreTrainedModel

from tests.checkpoints._save import make_model
from tests.engine._media import PLACEHOLDERS, Medium, clips, pictures, sounds

__all__ = [
    "ARCHITECTURES",
    "DECODER",
    "FIRST_WORD",
    "VISION_IDS",
    "VOCAB_SIZE",
    "Architecture",
    "make",
    "model_of",
    "tokens_of_sound",
    "vision_of_qwen3_vl",
]

VOCAB_SIZE = 96
FIRST_WORD = 12  # ids below are padding, marks and placeholders
WINDOW = 9  # shorter than nearly all prompts
HIDDEN = 32

DECODER: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
_NO_HEAD_DIM = {name: value for name, value in DECODER.items() if name != "head_dim"}
_ENCODER: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": HIDDEN,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 600,
}
_FROM_ONE: dict[str, Any] = {**_ENCODER, "pad_token_id": 1, "type_vocab_size": 1}
_SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
_WINDOWS: dict[str, Any] = {
    "sliding_window": WINDOW,
    "use_sliding_window": True,
    "layer_types": _SLIDING,
}
_EXPERTS: dict[str, Any] = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "decoder_sparse_step": 1,
}
_MROPE: dict[str, Any] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
_VISION: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "temporal_patch_size": 2}
_WINDOWED_VISION: dict[str, Any] = {
    **_VISION,
    "hidden_size": 16,
    "intermediate_size": 24,
    "out_hidden_size": HIDDEN,
    "window_size": 16,
    "fullatt_block_indexes": [1],
}
VISION_IDS: dict[str, Any] = {
    "image_token_id": PLACEHOLDERS["image"],
    "video_token_id": PLACEHOLDERS["video"],
    "vision_start_token_id": 4,
    "vision_end_token_id": 5,
}


@dataclass(frozen=True)
class Architecture:
    """name: as listed, `config.model_type` of the text model. scores_at: where scores are read.

    num_types: of token types, 0 where the model takes none. media: what stands in prompts beside
    text. gain: of the matrices, against those of a fresh model.
    """

    name: str
    construct: Callable[[], PreTrainedModel]
    scores_at: Literal["first", "last"] = "last"
    num_types: int = 0
    media: tuple[Medium, ...] = ()
    gain: float = 8.0

    @property
    def token_types(self) -> dict[int, int]:
        """Placeholder id -> 1 image, 2 video, 3 audio."""
        kinds = {medium.key.modality for medium in self.media}
        numbers = {"image": 1, "video": 2, "audio": 3}
        return {PLACEHOLDERS[kind]: numbers[kind] for kind in sorted(kinds)}


def _encoder(name: str, model: Any, config: Any, gain: float = 12.0, **sizes: Any) -> Architecture:
    sizes = sizes or _ENCODER
    return Architecture(
        name,
        lambda: model(config(**sizes)),
        scores_at="first",
        num_types=2 if name in ("bert", "electra") else 0,
        gain=gain,
    )


def _decoder(name: str, model: Any, config: Any, gain: float = 8.0, **more: Any) -> Architecture:
    return Architecture(name, lambda: model(config(**{**DECODER, **more})), gain=gain)


def _qwen2_vl() -> PreTrainedModel:
    vision = {**_VISION, "embed_dim": 16, "hidden_size": HIDDEN, "mlp_ratio": 2}
    text = {**_NO_HEAD_DIM, **_WINDOWS, "rope_parameters": _MROPE}
    return hf.Qwen2VLForConditionalGeneration(
        hf.Qwen2VLConfig(text_config=text, vision_config=vision, **VISION_IDS)
    )


def _qwen2_5_vl() -> PreTrainedModel:
    text = {**_NO_HEAD_DIM, "rope_parameters": _MROPE}
    return hf.Qwen2_5_VLForConditionalGeneration(
        hf.Qwen2_5_VLConfig(text_config=text, vision_config=_WINDOWED_VISION, **VISION_IDS)
    )


def vision_of_qwen3_vl() -> dict[str, Any]:
    """Its towers are those of other families too."""
    return {
        **_VISION,
        "depth": 3,
        "hidden_size": 16,
        "intermediate_size": 24,
        "out_hidden_size": HIDDEN,
        "spatial_merge_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }


def _qwen3_vl() -> PreTrainedModel:
    text = {**DECODER, "rope_parameters": {**_MROPE, "mrope_interleaved": True}}
    return hf.Qwen3VLForConditionalGeneration(
        hf.Qwen3VLConfig(text_config=text, vision_config=vision_of_qwen3_vl(), **VISION_IDS)
    )


def _qwen2_5_omni() -> PreTrainedModel:
    audio = {
        "d_model": 16,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "encoder_layers": 2,
        "num_mel_bins": 8,
        "n_window": 4,
        "output_dim": HIDDEN,
        "max_source_positions": 100,
    }
    ids: dict[str, Any] = {
        "image_token_index": PLACEHOLDERS["image"],
        "video_token_index": PLACEHOLDERS["video"],
        "audio_token_index": PLACEHOLDERS["audio"],
        "vision_start_token_id": 4,
        "vision_end_token_id": 5,
        "audio_start_token_id": 6,
        "audio_end_token_id": 7,
    }
    config = hf.Qwen2_5OmniThinkerConfig(
        text_config={**DECODER, **_WINDOWS, "rope_parameters": _MROPE},
        vision_config=_WINDOWED_VISION,
        audio_config=audio,
        position_id_per_seconds=4,
        **ids,
    )
    return hf.Qwen2_5OmniThinkerForConditionalGeneration(config)


_AUDIO_CHUNK = 100  # mel frames that are convolved together; transformers knows no other number


def tokens_of_sound(num_frames: int) -> int:
    """Three convolutions of stride 2 over each chunk."""
    whole, rest = divmod(num_frames, _AUDIO_CHUNK)
    return whole * -(-_AUDIO_CHUNK // 8) + -(-rest // 8)


def _qwen3_omni_moe() -> PreTrainedModel:
    audio = {
        "d_model": 16,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "encoder_layers": 2,
        "num_mel_bins": 8,
        "n_window": _AUDIO_CHUNK // 2,
        "n_window_infer": 2 * _AUDIO_CHUNK,
        "downsample_hidden_size": 4,
        "output_dim": HIDDEN,
    }
    ids: dict[str, Any] = {
        **VISION_IDS,
        "audio_token_id": PLACEHOLDERS["audio"],
        "audio_start_token_id": 6,
        "audio_end_token_id": 7,
    }
    rope = {**_MROPE, "mrope_interleaved": True}
    config = hf.Qwen3OmniMoeThinkerConfig(
        text_config={**DECODER, **_EXPERTS, "rope_parameters": rope},
        vision_config=vision_of_qwen3_vl(),
        audio_config=audio,
        position_id_per_seconds=4,
        **ids,
    )
    return hf.Qwen3OmniMoeThinkerForConditionalGeneration(config)


_LISTED = [
    _encoder("bert", hf.BertModel, hf.BertConfig),
    _encoder("electra", hf.ElectraModel, hf.ElectraConfig, **_ENCODER, embedding_size=16),
    _encoder("roberta", hf.RobertaModel, hf.RobertaConfig, **_FROM_ONE),
    _encoder("xlm-roberta", hf.XLMRobertaModel, hf.XLMRobertaConfig, **_FROM_ONE),
    _encoder("camembert", hf.CamembertModel, hf.CamembertConfig, **_FROM_ONE),
    _encoder(
        "distilbert",
        hf.DistilBertModel,
        hf.DistilBertConfig,
        vocab_size=VOCAB_SIZE,
        dim=HIDDEN,
        hidden_dim=48,
        n_layers=3,
        n_heads=4,
        max_position_embeddings=600,
    ),
    _encoder("gte", hf.GteModel, hf.GteConfig, **_FROM_ONE),
    _encoder(
        "modernbert",
        hf.ModernBertModel,
        hf.ModernBertConfig,
        gain=4.0,
        **_ENCODER,
        **dict.fromkeys(("pad_token_id", "cls_token_id", "bos_token_id"), 0),
        **dict.fromkeys(("sep_token_id", "eos_token_id"), 2),
        local_attention=2 * WINDOW,
        layer_types=_SLIDING,
    ),
    _decoder("llama", hf.LlamaForCausalLM, hf.LlamaConfig),
    _decoder("mistral", hf.MistralForCausalLM, hf.MistralConfig, sliding_window=WINDOW),
    _decoder("qwen2", hf.Qwen2ForCausalLM, hf.Qwen2Config, **_WINDOWS),
    _decoder("qwen3", hf.Qwen3ForCausalLM, hf.Qwen3Config, **_WINDOWS),
    _decoder("qwen3_moe", hf.Qwen3MoeForCausalLM, hf.Qwen3MoeConfig, **_EXPERTS),
    _decoder("gemma", hf.GemmaForCausalLM, hf.GemmaConfig),
    _decoder(
        "gemma2",
        hf.Gemma2ForCausalLM,
        hf.Gemma2Config,
        query_pre_attn_scalar=8,
        attn_logit_softcapping=2.0,
        sliding_window=WINDOW,
        layer_types=_SLIDING,
    ),
    _decoder(
        "gemma3_text",
        hf.Gemma3ForCausalLM,
        hf.Gemma3TextConfig,
        query_pre_attn_scalar=8,
        sliding_window=WINDOW,
        layer_types=_SLIDING,
    ),
    Architecture("qwen2_vl_text", _qwen2_vl, media=(*pictures(), *clips())),
    Architecture(
        "qwen2_5_vl_text", _qwen2_5_vl, media=(*pictures(), *clips(seconds="second_per_grid_ts"))
    ),
    Architecture("qwen3_vl_text", _qwen3_vl, media=(*pictures(), *clips(are_apart=True))),
    Architecture(
        "qwen2_5_omni_text",
        _qwen2_5_omni,
        media=(*pictures(), *clips(seconds="video_second_per_grid"), *sounds()),
    ),
    Architecture(
        "qwen3_omni_moe_text",
        _qwen3_omni_moe,
        media=(
            *pictures(),
            *clips(seconds="video_second_per_grid"),
            *sounds((137, 230), are_padded=False, num_tokens_of=tokens_of_sound),
        ),
    ),
]
ARCHITECTURES: dict[str, Architecture] = {listed.name: listed for listed in _LISTED}


def make(name: str) -> Any:
    """A model of its own, for tests that change it."""
    architecture = ARCHITECTURES[name]
    return make_model(architecture.construct, seed=0, matrix_gain=architecture.gain)


model_of = cache(make)
