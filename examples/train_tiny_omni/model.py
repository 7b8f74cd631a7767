"""The tiny Qwen2.5-Omni thinker, its processor and its sentence-transformers folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

__all__ = ["CHAT_TEMPLATE", "build_model", "build_processor", "save_folder"]

PATCH_PX, MERGE, MIN_PIXELS, MAX_PIXELS = 8, 2, 4096, 6144
HOP_SAMPLES = 320  # 20 ms a frame: 12.5 tokens a second, half of the usual
HIDDEN = 192

CHAT_TEMPLATE = """\
{%- macro render(content) -%}
{%- if content is string -%}{{ content }}
{%- else -%}{%- for item in content -%}
{%- if item.type == 'image' -%}<|vision_bos|><|IMAGE|><|vision_eos|>
{%- elif item.type == 'video' -%}<|vision_bos|><|VIDEO|><|vision_eos|>
{%- elif item.type == 'audio' -%}<|audio_bos|><|AUDIO|><|audio_eos|>
{%- else -%}{{ item.text }}{%- endif -%}
{%- endfor -%}{%- endif -%}
{%- endmacro -%}
<|im_start|>user{{ '\n' }}
{%- for message in messages if message.role == 'system' -%}
{{ render(message.content) }}{{ '\n' }}
{%- endfor -%}
query: {% for message in messages if message.role == 'query' -%}
{{ render(message.content) }}
{%- endfor -%}
{{ '\n' }}document: {% for message in messages if message.role == 'document' -%}
{{ render(message.content) }}
{%- endfor -%}
<|im_end|>{{ '\n' }}<|im_start|>assistant{{ '\n' }}
"""


def build_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5OmniThinkerForConditionalGeneration:
    """Make the model with fresh weights in fp32."""
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in _media_tokens().items()}
    config = Qwen2_5OmniThinkerConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": HIDDEN,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [4, 6, 6],
            },
            "tie_word_embeddings": False,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "depth": 3,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_heads": 4,
            "patch_size": PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 128,
            "fullatt_block_indexes": [0, 1, 2],
            "out_hidden_size": HIDDEN,
        },
        audio_config={
            "num_mel_bins": 80,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 384,
            "d_model": 128,
            "n_window": 100,
            "max_source_positions": 1500,
            "output_dim": HIDDEN,
        },
        # Four positions a second instead of 25: neighbours in time stay near each other.
        position_id_per_seconds=4,
        tie_word_embeddings=False,
        **ids,
    )
    return Qwen2_5OmniThinkerForConditionalGeneration(config)


def _media_tokens() -> dict[str, str]:
    return {
        "image_token_id": "<|IMAGE|>",
        "video_token_id": "<|VIDEO|>",
        "audio_token_id": "<|AUDIO|>",
        "vision_start_token_id": "<|vision_bos|>",
        "vision_end_token_id": "<|vision_eos|>",
        "audio_start_token_id": "<|audio_bos|>",
        "audio_end_token_id": "<|audio_eos|>",
    }


def build_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5OmniProcessor:
    """Make the processor that training and serving share."""
    pixels = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    shape = {"patch_size": PATCH_PX, "merge_size": MERGE, "temporal_patch_size": 2}
    norm = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(size=pixels, **shape, **norm),
        video_processor=Qwen2VLVideoProcessor(
            size=pixels, **shape, **norm, fps=2.0, min_frames=4, max_frames=4,
            do_sample_frames=False, cap_pixels_per_frame=False,
        ),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=80, sampling_rate=16_000, hop_length=HOP_SAMPLES, n_fft=400,
            chunk_length=30, return_attention_mask=True,
        ),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )  # fmt: skip
    # The class brings a larger size of its own, which would win over the video processor's.
    processor.videos_kwargs = {"size": pixels, "fps": 2.0}
    return processor


def save_folder(
    model: Qwen2_5OmniThinkerForConditionalGeneration,
    processor: Qwen2_5OmniProcessor,
    folder: Path,
) -> None:
    """Write a complete sentence-transformers CrossEncoder folder, weights in half precision."""
    tokenizer = processor.tokenizer
    half = Qwen2_5OmniThinkerForConditionalGeneration(model.config)
    half.load_state_dict(model.state_dict())
    half.to(torch.float16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    # Stored in half precision, computed in single: loaders that follow the file do the right thing.
    config["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    processor.save_pretrained(folder)
    yes_id, no_id = tokenizer.convert_tokens_to_ids(["yes", "no"])
    method = {"method": "forward", "method_output_name": "logits"}
    modalities = {name: dict(method) for name in ("text", "image", "audio", "video")}
    modalities["message"] = {**method, "format": "structured"}
    base = "sentence_transformers"
    files: dict[str, object] = {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "",
             "type": f"{base}.base.modules.transformer.Transformer"},
            {"idx": 1, "name": "1", "path": "1_LogitScore",
             "type": f"{base}.cross_encoder.modules.logit_score.LogitScore"},
        ],
        "sentence_bert_config.json": {
            "transformer_task": "any-to-any",
            "modality_config": modalities,
            "module_output_name": "causal_logits",
            # Said here too: the processor class has a larger video size of its own that would win.
            "processing_kwargs": {"video": dict(processor.videos_kwargs)},
        },
        "config_sentence_transformers.json": {
            "__version__": {},
            "activation_fn": "torch.nn.modules.activation.Sigmoid",
            "default_prompt_name": None,
            "model_type": "CrossEncoder",
            "prompts": {},
        },
        "1_LogitScore/config.json": {
            "true_token_id": yes_id,
            "false_token_id": no_id,
            "module_input_name": "causal_logits",
        },
    }  # fmt: skip
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
