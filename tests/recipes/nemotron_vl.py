"""llama-nemotron-rerank-vl: text with transformers' own Llama alone, pictures as its card does it.

Source: process_queries_documents_crossencoder of the vendor's processing file, prompt_template v1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    AutoProcessor,
    LlamaConfig,
    LlamaModel,
    LlamaTokenizer,
)

__all__ = ["score", "scores_by_vendor"]


def score(folder: Path, query: str, document: str) -> float:
    """The raw logit: the mean of all states through one row; no state hides from another."""
    tokenizer = LlamaTokenizer.from_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    prefix = "model.language_model."
    own = {key.removeprefix(prefix): w for key, w in weights.items() if key.startswith(prefix)}
    config = _text_config(folder)
    model = LlamaModel(config).eval()
    model.load_state_dict(own)
    prompt = f"question:{query} \n \n passage:{document}"
    ids = tokenizer([prompt], return_tensors="pt")["input_ids"]
    nothing_hidden = torch.zeros(1, 1, ids.shape[1], ids.shape[1])
    with torch.inference_mode():
        states = model(ids, attention_mask=nothing_hidden, use_cache=False).last_hidden_state
        return float(states.mean(dim=1) @ weights["score.weight"].T)


def scores_by_vendor(
    folder: Path, pairs: Sequence[tuple[str, str, Any]], **processor: Any
) -> list[float]:
    """Raw logits of (query, text of the document or "", its picture or ""), one batch through the
    vendor's processor and model.
    """
    options = {"max_input_tiles": 6, "use_thumbnail": True, **processor}
    prepare = AutoProcessor.from_pretrained(folder, trust_remote_code=True, **options)
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
    inputs = prepare.process_queries_documents_crossencoder(
        [{"question": query, "doc_text": text, "doc_image": image} for query, text, image in pairs]
    )
    with torch.inference_mode():
        logits = model.eval()(**inputs, return_dict=True).logits
    return [float(logit) for logit in logits[:, 0]]


def _text_config(folder: Path) -> LlamaConfig:
    fields = json.loads((folder / "config.json").read_text())["llm_config"]
    return LlamaConfig(**fields)
