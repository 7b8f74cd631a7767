"""A tiny llama-nemotron-rerank-vl: config, model and processor stand in its own Python files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaModel, SiglipVisionConfig, SiglipVisionModel

from ._save import make_model, round_up, write_json
from .sentencepiece import make_llama_tokenizer

__all__ = ["build_nemotron_vl"]

# What the vendor's three files do with text, in our own words: a Llama without the causal mask in
# a model that also has a picture tower, the mean of all states, one output row.
_CONFIGURATION = """
from transformers import LlamaConfig, PretrainedConfig, SiglipVisionConfig


class LlamaNemotronVLForSequenceClassificationConfig(PretrainedConfig):
    model_type = "llama_nemotron_vl_rerank"
    sub_configs = {"vision_config": SiglipVisionConfig, "llm_config": LlamaConfig}

    def __init__(self, vision_config=None, llm_config=None, temperature=1.0, **kwargs):
        self.vision_config = SiglipVisionConfig(**(vision_config or {}))
        self.llm_config = LlamaConfig(**(llm_config or {}))
        super().__init__(**kwargs)
        self.temperature = temperature
"""
_MODELING = """
import torch
from torch import nn
from transformers import LlamaModel, PreTrainedModel, SiglipVisionModel
from transformers.modeling_outputs import SequenceClassifierOutputWithPast

from .configuration_llama_nemotron_vl import LlamaNemotronVLForSequenceClassificationConfig


class LlamaNemotronVLModel(PreTrainedModel):
    config_class = LlamaNemotronVLForSequenceClassificationConfig

    def __init__(self, config):
        super().__init__(config)
        self.vision_model = SiglipVisionModel(config.vision_config)
        self.language_model = LlamaModel(config.llm_config)
        self.post_init()

    def forward(self, input_ids, attention_mask):
        seen = attention_mask[:, None, None, :].expand(-1, 1, input_ids.shape[1], -1)
        mask = torch.zeros(seen.shape, dtype=self.dtype).masked_fill(seen == 0, -1e30)
        return self.language_model(input_ids, attention_mask=mask, use_cache=False)


class LlamaNemotronVLForSequenceClassification(PreTrainedModel):
    config_class = LlamaNemotronVLForSequenceClassificationConfig
    base_model_prefix = "model"

    def __init__(self, config):
        super().__init__(config)
        self.model = LlamaNemotronVLModel(config)
        self.score = nn.Linear(config.llm_config.hidden_size, config.num_labels, bias=False)
        self.post_init()

    def forward(self, pixel_values=None, input_ids=None, attention_mask=None, return_dict=None):
        states = self.model(input_ids, attention_mask).last_hidden_state
        kept = attention_mask[:, :, None].to(states.dtype)
        mean = (states * kept).sum(dim=1) / kept.sum(dim=1)
        return SequenceClassifierOutputWithPast(logits=self.score(mean) / self.config.temperature)
"""
_PROCESSING = """
from transformers import ProcessorMixin


class LlamaNemotronVLRerankProcessor(ProcessorMixin):
    attributes = ["tokenizer"]
    tokenizer_class = "AutoTokenizer"

    def __init__(self, tokenizer, max_input_tiles=2, chat_template=None, **kwargs):
        tokenizer.padding_side = "left"
        super().__init__(tokenizer, chat_template=chat_template)

    def __call__(self, text=None, images=None, **kwargs):
        raise RuntimeError("whole prompts only")
"""
_FILES = {
    "configuration_llama_nemotron_vl": _CONFIGURATION,
    "modeling_llama_nemotron_vl": _MODELING,
    "processing_llama_nemotron_vl": _PROCESSING,
}
_NAME = "LlamaNemotronVLForSequenceClassification"


def build_nemotron_vl(folder: Path, *, seed: int = 0) -> Path:
    """llama-nemotron-rerank-vl: towers of text and pictures, the mean of all states, one label."""
    tokenizer = make_llama_tokenizer(model_max_length=10240)
    text = LlamaConfig(
        vocab_size=round_up(len(tokenizer)),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=10240,
        pad_token_id=tokenizer.pad_token_id,
    )
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2
    )
    towers: dict[str, Any] = {
        "language_model": make_model(lambda: LlamaModel(text), seed=seed, matrix_gain=8.0),
        "vision_model": make_model(lambda: SiglipVisionModel(vision), seed=seed, matrix_gain=1.0),
    }
    weights = {
        f"model.{tower}.{name}": tensor
        for tower, model in towers.items()
        for name, tensor in model.state_dict().items()
    }
    draw = torch.Generator().manual_seed(seed)
    weights["score.weight"] = torch.randn(1, text.hidden_size, generator=draw)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    processor = "processing_llama_nemotron_vl.LlamaNemotronVLRerankProcessor"
    write_json(
        folder / "processor_config.json",
        {
            "auto_map": {"AutoProcessor": processor},
            "processor_class": "LlamaNemotronVLRerankProcessor",
            "max_input_tiles": 2,
        },
    )
    write_json(
        folder / "config.json",
        {
            "architectures": [_NAME],
            "auto_map": {
                "AutoConfig": f"configuration_llama_nemotron_vl.{_NAME}Config",
                "AutoModelForSequenceClassification": f"modeling_llama_nemotron_vl.{_NAME}",
                "AutoProcessor": processor,
            },
            "model_type": "llama_nemotron_vl_rerank",
            "llm_config": text.to_dict(),
            "vision_config": vision.to_dict(),
            "num_labels": 1,
            "img_context_token_id": 128258,
            "max_input_tiles": 2,
            "use_thumbnail": True,
            "dynamic_image_size": True,
            "pooling": "avg",
            "temperature": 1.0,
        },
    )
    for file, code in _FILES.items():
        (folder / f"{file}.py").write_text(code, encoding="utf-8")
    return folder
