"""jina-reranker-m0 by its published modeling file, with transformers' own Qwen2-VL alone.

Source: modeling.py of jinaai/jina-reranker-m0, `JinaVLForRanking.compute_score`. It ends with a
sigmoid; here the logit before it is returned, with the bias in it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from transformers import AutoProcessor, ProcessorMixin, Qwen2VLModel

__all__ = ["score"]

_SCORE_TOKEN = 100
_LOGIT_BIAS = 2.65
_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_MIN_PIXELS, _MAX_PIXELS = 3136, 602112
_MAX_DOCUMENT_TOKENS = 10240 - 512


def score(folder: Path, query: object, document: object, prefix: str = "") -> float:
    """Logit of one pair; query and document are text or a PIL picture each."""
    processor, model, head = _load(str(folder))
    if isinstance(document, str):
        kept = processor.tokenizer(document, truncation=True, max_length=_MAX_DOCUMENT_TOKENS)
        if len(kept["input_ids"]) >= _MAX_DOCUMENT_TOKENS:
            document = processor.tokenizer.decode(kept["input_ids"])
    prompt = f"**Document**:\n{_side(document)}\n**Query**:\n{_side(query)}"
    if prefix:
        prompt = prefix + "\n" + prompt
    pictures = [side for side in (document, query) if isinstance(side, Image.Image)]
    media = {"images": pictures} if pictures else {}
    inputs = processor(text=[prompt], return_tensors="pt", **media)
    added = {"input_ids": _SCORE_TOKEN, "attention_mask": 1, "mm_token_type_ids": 0}
    for name, value in added.items():
        if name in inputs:
            column = torch.full((1, 1), value, dtype=inputs[name].dtype)
            inputs[name] = torch.cat([inputs[name], column], dim=1)
    with torch.inference_mode():
        state = model(**inputs).last_hidden_state[:, -1]
        return float(head(state)) - _LOGIT_BIAS


def _side(side: object) -> str:
    return side if isinstance(side, str) else _PICTURE


@lru_cache(maxsize=4)
def _load(folder: str) -> tuple[ProcessorMixin, Any, nn.Module]:
    model = Qwen2VLModel.from_pretrained(folder, dtype=torch.float32).eval()
    size = {"shortest_edge": _MIN_PIXELS, "longest_edge": _MAX_PIXELS}
    processor = AutoProcessor.from_pretrained(folder, size=size)
    weights: dict[str, torch.Tensor] = {}
    for file in sorted(Path(folder).glob("*.safetensors")):
        weights.update(load_file(file))
    hidden = weights["score.0.weight"].shape[1]
    head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    prefix = "score."
    own = {key.removeprefix(prefix): w for key, w in weights.items() if key.startswith(prefix)}
    head.load_state_dict(own)
    return processor, model, head
