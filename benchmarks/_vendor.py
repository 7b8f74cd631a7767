"""One pair at a time in plain transformers, as the published script of Qwen3-VL-Reranker does.

Written anew from its description: no batch, no cache, the head as one row made of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoProcessor

__all__ = ["OneByOne"]

# Source: qwen3_vl_reranker.py of the vendor, 2026-01-19.
_PROMPT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n<Instruct>: Given a search query, retrieve relevant candidates that answer "
    "the query.<Query>:{query}\n<Document>:{document}<|im_end|>\n<|im_start|>assistant\n"
)
_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"


class OneByOne:
    """model: of class Qwen3VLForConditionalGeneration. folder: its tokenizer and processor."""

    def __init__(self, model: Any, folder: Path) -> None:
        self._model = model
        self._processor: Any = AutoProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
        yes, no = self._processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
        rows = model.get_output_embeddings().weight
        self._row = rows[yes] - rows[no]

    def predict(self, pairs: Sequence[Any]) -> np.ndarray:
        """float32 (num_pairs,), before the sigmoid, as the peer gives it."""
        return np.array([self._score(query, document) for query, document in pairs], np.float32)

    @torch.inference_mode()
    def _score(self, query: Any, document: Any) -> float:
        pictures = [side for side in (query, document) if not isinstance(side, str)]
        texts = [side if isinstance(side, str) else _PICTURE for side in (query, document)]
        inputs = self._processor(
            text=[_PROMPT.format(query=texts[0], document=texts[1])],
            images=pictures or None,
            return_tensors="pt",
        ).to(self._model.device)
        states = self._model.model(**inputs, use_cache=False).last_hidden_state[0, -1]
        return float(torch.dot(states, self._row))
