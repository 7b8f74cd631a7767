"""A Qwen-Omni thinker asked for yes or no in Qwen3-VL-Reranker's words, with transformers alone.

No vendor defines a reranker of these models: the prompt is ours (processors/qwen*-omni). Words for
media: tokenizer_config.json of the published models. Here the log-odds of yes against no.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoProcessor,
    PreTrainedModel,
    ProcessorMixin,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

__all__ = ["score"]

_PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
_DEFAULT_INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
_CLASSES: dict[str, Any] = {
    "qwen2_5_omni_thinker": Qwen2_5OmniThinkerForConditionalGeneration,
    "qwen3_omni_moe_thinker": Qwen3OmniMoeThinkerForConditionalGeneration,
}
_MEDIA = {
    "qwen2_5_omni_thinker": {
        "image": "<|vision_bos|><|IMAGE|><|vision_eos|>",
        "video": "<|vision_bos|><|VIDEO|><|vision_eos|>",
        "audio": "<|audio_bos|><|AUDIO|><|audio_eos|>",
    },
    "qwen3_omni_moe_thinker": {
        "image": "<|vision_start|><|image_pad|><|vision_end|>",
        "video": "<|vision_start|><|video_pad|><|vision_end|>",
        "audio": "<|audio_start|><|audio_pad|><|audio_end|>",
    },
}


def score(folder: Path, query: object, document: object, instruction: str | None = None) -> float:
    """One pair in a batch of its own, without padding, through the whole vocabulary.

    query, document: text, PIL image, sound (samples,) at 16 kHz, clip (frames, height, width, 3),
        or a dict with the keys text, image, audio, video in the order of the prompt.
    """
    processor, model = _load(str(folder))
    words = _MEDIA[model.config.model_type]
    sides = [_parts(side) for side in (query, document)]
    query_text, document_text = (
        "".join(words.get(kind, value) for kind, value in side) for side in sides
    )
    prompt = (
        f"{_PREFIX}<Instruct>: {instruction or _DEFAULT_INSTRUCTION}<Query>:{query_text}\n"
        f"<Document>:{document_text}<|im_end|>\n<|im_start|>assistant\n"
    )
    media: dict[str, Any] = {}
    for kind, value in (part for side in sides for part in side):
        argument = {"image": "images", "video": "videos", "audio": "audio"}.get(kind)
        if argument:
            media.setdefault(argument, []).append(value)
    if "videos" in media:
        media["videos_kwargs"] = {"do_sample_frames": False}
    inputs = processor(text=[prompt], return_tensors="pt", **media)
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -1]
    yes, no = processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
    return float(logits[yes] - logits[no])


@lru_cache(maxsize=2)
def _load(folder: str) -> tuple[ProcessorMixin, PreTrainedModel]:
    model_type = json.loads((Path(folder) / "config.json").read_text())["model_type"]
    model = _CLASSES[model_type].from_pretrained(folder, dtype=torch.float32)
    return AutoProcessor.from_pretrained(folder), model.eval()


def _parts(side: object) -> list[tuple[str, Any]]:
    return list(side.items()) if isinstance(side, Mapping) else [(_kind(side), side)]


def _kind(value: object) -> str:
    if isinstance(value, Image.Image):
        return "image"
    if isinstance(value, np.ndarray):
        return "audio" if value.ndim == 1 else "video"
    return "text"
