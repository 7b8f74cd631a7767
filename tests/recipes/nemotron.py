"""llama-nemotron-rerank by its card: one string, attention both ways, the mean of states, a row.

Source: model card of nvidia/llama-nemotron-rerank-1b-v2, section "Usage"; the vendor's modeling
file as it stands in NeMo (components/models/llama_bidirectional).
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaModel, LlamaTokenizer

__all__ = ["score"]


def score(folder: Path, query: str, document: str) -> float:
    """The raw logit."""
    tokenizer = LlamaTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer(f"question:{query} \n \n passage:{document}")["input_ids"]])
    weights = load_file(folder / "model.safetensors")
    row = weights.pop("score.weight")[0]
    model = LlamaModel(LlamaConfig.from_json_file(folder / "config.json")).eval()
    model.load_state_dict({name.removeprefix("model."): t for name, t in weights.items()})
    everything = torch.zeros(1, 1, ids.shape[1], ids.shape[1])
    with torch.inference_mode():
        states = model(ids, attention_mask=everything).last_hidden_state[0]
    return float(states.mean(dim=0) @ row)
