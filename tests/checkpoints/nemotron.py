"""A tiny reranker whose architecture stands in a Python file beside its weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaModel

from ._save import make_model, round_up, write_json
from .sentencepiece import make_llama_tokenizer

__all__ = ["build_nemotron"]

_FILE = "llama_bidirectional_model"
# What the vendor's file computes, in our own words: Llama without the causal mask, the mean of all
# states, one output row.
_CODE = """
import torch
from torch import nn
from transformers import LlamaConfig, LlamaModel, LlamaPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class LlamaBidirectionalConfig(LlamaConfig):
    model_type = "llama_bidirec"

    def __init__(self, pooling="avg", temperature=1.0, **kwargs):
        self.pooling = pooling
        self.temperature = temperature
        super().__init__(**kwargs)


class LlamaBidirectionalForSequenceClassification(LlamaPreTrainedModel):
    config_class = LlamaBidirectionalConfig

    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaModel(config)
        self.score = nn.Linear(config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(self, input_ids=None, attention_mask=None, **_):
        seen = attention_mask[:, None, None, :].expand(-1, 1, input_ids.shape[1], -1)
        mask = torch.zeros(seen.shape, dtype=self.dtype).masked_fill(seen == 0, -1e30)
        states = self.model(input_ids, attention_mask=mask, use_cache=False).last_hidden_state
        kept = attention_mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(dim=1) / kept.sum(dim=1)
        return SequenceClassifierOutput(logits=self.score(mean) / self.config.temperature)
"""


def build_nemotron(folder: Path, *, seed: int = 0, temperature: float = 1.0) -> Path:
    """llama-nemotron-rerank: model_type llama_bidirec, the mean of all states, one label.

    temperature: what the logits are divided by; 1.0 in the published ones.
    """
    tokenizer = make_llama_tokenizer(model_max_length=8192)
    config = LlamaConfig(
        vocab_size=round_up(len(tokenizer)),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        pad_token_id=tokenizer.pad_token_id,
    )
    config.num_labels = 1
    model = make_model(lambda: LlamaModel(config), seed=seed, matrix_gain=8.0)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    draw = torch.Generator().manual_seed(seed)
    weights["score.weight"] = torch.randn(1, config.hidden_size, generator=draw)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    write_json(
        folder / "config.json",
        {
            **config.to_dict(),
            "architectures": ["LlamaBidirectionalForSequenceClassification"],
            "auto_map": {
                "AutoConfig": f"{_FILE}.LlamaBidirectionalConfig",
                "AutoModelForSequenceClassification": (
                    f"{_FILE}.LlamaBidirectionalForSequenceClassification"
                ),
            },
            "model_type": "llama_bidirec",
            "pooling": "avg",
            "temperature": temperature,
        },
    )
    (folder / f"{_FILE}.py").write_text(_CODE, encoding="utf-8")
    return folder
