"""Rerankers on Qwen2-VL and Qwen2.5-VL that answer with a word, with transformers alone.

Each family has a function of its own below; all return the difference of the two words' logits,
whose sigmoid is the softmax over the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

__all__ = ["lychee_rerank_mm", "monoqwen2_vl", "multimodal_qwen_logit_reranker"]

_LYCHEE_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_LYCHEE_SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)


def monoqwen2_vl(folder: Path, query: str, document: Image.Image) -> float:
    """True minus False. Source: model card of lightonai/MonoQwen2-VL-v0.1, section "Usage"."""
    processor, model = _load(str(folder), None)
    question = (
        "Assert the relevance of the previous image document to the following query, "
        f"answer True or False. The query is: {query}"
    )
    content = [{"type": "image", "image": document}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    return _difference(processor, model, prompt, [document], "True", "False")


def lychee_rerank_mm(
    folder: Path, query: object, document: object, instruction: str | None = None
) -> float:
    """Yes minus no. Source: an evaluation script for this model by a third party.

    query, document: text, a PIL picture, or a dict with the keys image and text.
    """
    processor, model = _load(str(folder), (4 * 28 * 28, 1280 * 28 * 28))
    told = instruction or _LYCHEE_INSTRUCTION
    sides = [
        side if isinstance(side, Mapping) else {_kind(side): side} for side in (query, document)
    ]
    content: list[dict[str, Any]] = [{"type": "text", "text": "<Instruct>: " + told}]
    for head, side in zip(("<Query>:", "\n<Document>:"), sides, strict=True):
        content.append({"type": "text", "text": head})
        content += [{"type": kind, kind: side[kind]} for kind in ("image", "text") if kind in side]
    messages = [
        {"role": "system", "content": [{"type": "text", "text": _LYCHEE_SYSTEM}]},
        {"role": "user", "content": content},
    ]
    prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    pictures: list[Any] = [side["image"] for side in sides if "image" in side]
    return _difference(processor, model, prompt, pictures, "yes", "no")


def multimodal_qwen_logit_reranker(
    folder: Path, query: str, document: Image.Image, *, adapter: Path | None = None
) -> float:
    """Yes minus No. Source: model card of UlrickBL/MultimodalQwenLogitReranker-3B.

    folder: of the base model. adapter: put onto it, as the card does.
    """
    processor, model = _load(str(folder), (3136, 1080 * 28 * 28), adapter and str(adapter))
    prompt = (
        "<|im_start|>system\nYou will be given an picture and a query. Answer 'Yes' if the answer "
        "to the query can be found in the picture, else 'No'<|im_end|>\n<|im_start|>user\n"
        f"{_PICTURE}Query : {query} \nAre the picture and query related ?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    return _difference(processor, model, prompt, [document], "Yes", "No")


def _kind(value: object) -> str:
    return "image" if isinstance(value, Image.Image) else "text"


def _difference(
    processor: Any, model: Any, prompt: str, pictures: list[Image.Image], true: str, false: str
) -> float:
    media = {"images": pictures} if pictures else {}
    inputs = processor(text=[prompt], return_tensors="pt", **media)
    ids = processor.tokenizer.convert_tokens_to_ids([true, false])
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -1, ids]
    return float(logits[0] - logits[1])


@lru_cache(maxsize=4)
def _load(
    folder: str, pixels: tuple[int, int] | None, adapter: str | None = None
) -> tuple[Any, Any]:
    size = {} if pixels is None else {"size": dict(zip(_EDGES, pixels, strict=True))}
    processor = AutoProcessor.from_pretrained(folder, **size)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    if adapter:
        model.load_adapter(adapter)
    return processor, model.eval()


_EDGES = ("shortest_edge", "longest_edge")
