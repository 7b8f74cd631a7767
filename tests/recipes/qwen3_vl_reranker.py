"""Qwen3-VL-Reranker by its published script, with transformers (and qwen-vl-utils) alone.

Source: qwen3_vl_reranker.py of the model's repository, 2026-01-19. The script ends with a sigmoid;
here the log-odds before it are returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BatchFeature,
    PreTrainedModel,
    ProcessorMixin,
)

__all__ = ["Variant", "score"]

Variant = Literal["sentence-transformers", "vendor"]
_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
_DEFAULT_INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
_PLACEHOLDER = {
    "image": "<|vision_start|><|image_pad|><|vision_end|>",
    "video": "<|vision_start|><|video_pad|><|vision_end|>",
}
_VENDOR_ORDER = ("video", "image", "text")
_PIXELS_PER_TOKEN = 32 * 32
_SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"


def score(
    folder: Path,
    query: object,
    document: object,
    instruction: str | None = None,
    *,
    variant: Variant = "sentence-transformers",
    max_length: int | None = None,
) -> float:
    """Log-odds of yes against no for one pair.

    query, document: text, PIL image, video as an array (frames, height, width, 3), or a dict with
        the keys text, image, video, each one value or a list.
    variant: "sentence-transformers" keeps the order of the dict and resizes by the checkpoint's
        own processor; "vendor" puts videos before images before text, writes NULL for an empty
        side and resizes by qwen-vl-utils: images to 4..1800 tokens, frames, one a second, to
        128..768.
    max_length: what stands in front of the last turn is shortened to so many tokens, as in the
        vendor's script: words from the end, special tokens never.
    """
    processor, model = _load(str(folder))
    sides = [_parts(side, variant) for side in (query, document)]
    query_text, document_text = ("".join(_render(*part) for part in side) for side in sides)
    prompt = (
        f"<|im_start|>system\n{_SYSTEM}<|im_end|>\n<|im_start|>user\n"
        f"<Instruct>: {instruction or _DEFAULT_INSTRUCTION}<Query>:{query_text}\n"
        f"<Document>:{document_text}{_SUFFIX}"
    )
    media = _media([part for side in sides for part in side], variant)
    inputs = processor(text=[prompt], return_tensors="pt", **media)
    if max_length is not None:
        _shorten(inputs, processor.tokenizer, max_length)
    with torch.inference_mode():
        state = model.model(**inputs).last_hidden_state[0, -1]
        yes, no = processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
        return float(state @ (model.lm_head.weight[yes] - model.lm_head.weight[no]))


@lru_cache(maxsize=4)
def _load(folder: str) -> tuple[ProcessorMixin, PreTrainedModel]:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    return AutoProcessor.from_pretrained(folder), model.eval()


def _shorten(inputs: BatchFeature, tokenizer: Any, max_length: int) -> None:
    ids = inputs["input_ids"][0].tolist()
    # Five tokens in the published vocabulary, as the script has it.
    body = len(ids) - len(tokenizer.encode(_SUFFIX, add_special_tokens=False))
    words = [place for place in range(body) if ids[place] not in tokenizer.all_special_ids]
    excess = max(body - max_length, 0)
    dropped = set(words[len(words) - excess :])
    kept = [place for place in range(len(ids)) if place not in dropped]
    for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
        inputs[name] = inputs[name][:, kept]


def _parts(side: object, variant: Variant) -> list[tuple[str, Any]]:
    """(kind, value) in the order of the prompt."""
    fields = side if isinstance(side, Mapping) else {_kind(side): side}
    kinds = list(fields) if variant == "sentence-transformers" else list(_VENDOR_ORDER)
    parts = [(kind, value) for kind in kinds for value in _as_list(fields.get(kind))]
    return parts or [("text", "NULL")]


def _kind(value: object) -> str:
    if isinstance(value, Image.Image):
        return "image"
    return "video" if isinstance(value, np.ndarray) and value.ndim == 4 else "text"


def _as_list(value: object) -> list[Any]:
    if value is None or (isinstance(value, str) and not value):
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _render(kind: str, value: Any) -> str:
    return value if kind == "text" else _PLACEHOLDER[kind]


def _media(parts: list[tuple[str, Any]], variant: Variant) -> dict[str, Any]:
    images = [value for kind, value in parts if kind == "image"]
    videos = [value for kind, value in parts if kind == "video"]
    if variant == "vendor":
        images = [_resize_like_vendor(image) for image in images]
    media: dict[str, Any] = {}
    if images:
        media["images"] = images
        if variant == "vendor":
            media["images_kwargs"] = {"do_resize": False}
    if videos and variant == "vendor":
        fetched = [_frames_like_vendor(video) for video in videos]
        media["videos"], metadata = map(list, zip(*fetched, strict=True))
        told = {"do_resize": False, "do_sample_frames": False, "video_metadata": metadata}
        media["videos_kwargs"] = told
    elif videos:
        media["videos"] = videos
    return media


def _resize_like_vendor(image: Image.Image) -> Image.Image:
    from qwen_vl_utils.vision_process import fetch_image

    budget = {"min_pixels": 4 * _PIXELS_PER_TOKEN, "max_pixels": 1800 * _PIXELS_PER_TOKEN}
    return fetch_image({"image": image, **budget}, image_patch_size=16)


def _frames_like_vendor(frames: np.ndarray) -> tuple[torch.Tensor, dict[str, Any]]:
    from qwen_vl_utils.vision_process import fetch_video

    source = {"video": [Image.fromarray(frame) for frame in frames], "sample_fps": 1.0}
    fetched: Any = fetch_video(source, image_patch_size=16, return_video_metadata=True)
    video, metadata = fetched
    return video, {**metadata, "total_num_frames": len(video)}
