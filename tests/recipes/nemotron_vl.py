"""llama-nemotron-rerank-vl on text, by its processor's prompt, with transformers' own Llama alone.

Source: process_queries_documents_crossencoder of the vendor's processing file, prompt_template v1.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaModel, LlamaTokenizer

__all__ = ["score"]


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


def _text_config(folder: Path) -> LlamaConfig:
    fields = json.loads((folder / "config.json").read_text())["llm_config"]
    return LlamaConfig(**fields)
