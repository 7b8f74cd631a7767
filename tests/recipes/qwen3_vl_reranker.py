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
from transformers import AutoProcessor, PreTrainedModel, ProcessorMixin
from transformers import Qwen3VLForConditionalGeneration as Qwen3VL

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


def score(
    folder: Path,
    query: object,
    document: object,
    instruction: str | None = None,
    *,
    variant: Variant = "sentence-transformers",
) -> float:
    """Log-odds of yes against no for one pair.

    query, document: text, PIL image, video as an array (frames, height, width, 3), or a dict with
        the keys text, image, video, each one value or a list.
    variant: "sentence-transformers" keeps the order of the dict and resizes by the checkpoint's
        own processor; "vendor" puts videos before images before text, writes NULL for an empty
        side and resizes images to 4..1800 tokens by qwen-vl-utils (images and text only).
    """
    processor, model = _load(str(folder))
    sides = [_parts(side, variant) for side in (query, document)]
    query_text, document_text = ("".join(_render(*part) for part in side) for side in sides)
    prompt = (
        f"<|im_start|>system\n{_SYSTEM}<|im_end|>\n<|im_start|>user\n"
        f"<Instruct>: {instruction or _DEFAULT_INSTRUCTION}<Query>:{query_text}\n"
        f"<Document>:{document_text}<|im_end|>\n<|im_start|>assistant\n"
    )
    media = _media([part for side in sides for part in side], variant)
    inputs = processor(text=[prompt], return_tensors="pt", **media)
    with torch.inference_mode():
        state = model.model(**inputs).last_hidden_state[0, -1]
        yes, no = processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
        return float(state @ (model.lm_head.weight[yes] - model.lm_head.weight[no]))


@lru_cache(maxsize=4)
def _load(folder: str) -> tuple[ProcessorMixin, PreTrainedModel]:
    model = Qwen3VL.from_pretrained(folder, dtype=torch.float32)
    return AutoProcessor.from_pretrained(folder), model.eval()


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
    if value is None or value == "":
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
    if videos:
        media["videos"] = videos
    return media


def _resize_like_vendor(image: Image.Image) -> Image.Image:
    from qwen_vl_utils.vision_process import fetch_image

    budget = {"min_pixels": 4 * _PIXELS_PER_TOKEN, "max_pixels": 1800 * _PIXELS_PER_TOKEN}
    return fetch_image({"image": image, **budget}, image_patch_size=16)
