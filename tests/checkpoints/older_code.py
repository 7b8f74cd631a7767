"""A tiny encoder whose own Python files ask for what transformers 4 had and 5 has no longer."""

from __future__ import annotations

from pathlib import Path

from . import tokenizers as tok
from ._save import round_up, write_json, write_noise

__all__ = ["build_older_encoder"]

_HIDDEN_SIZE = 16
_CONFIGURATION = """
from transformers import PretrainedConfig
from transformers.onnx import OnnxConfig


class NewConfig(PretrainedConfig):
    model_type = "new"

    def __init__(
        self, vocab_size=100, hidden_size=16, rope_theta=10000.0, rope_scaling=None, **others
    ):
        super().__init__(**others)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.rope_theta = rope_theta
        self.rope_scaling = rope_scaling
"""
# Slopes need tensors with numbers in the constructor, positions and turns are in no checkpoint.
_MODELING = """
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.xlm_roberta.modeling_xlm_roberta import create_position_ids_from_input_ids
from transformers.pytorch_utils import find_pruneable_heads_and_indices, prune_linear_layer

from .configuration import NewConfig


class Places(nn.Module):
    def __init__(self, config):
        super().__init__()
        factor = (config.rope_scaling or {"factor": 1.0})["factor"]
        self.register_buffer("position_ids", torch.arange(512), persistent=False)
        turns = torch.arange(512.0) * factor / config.rope_theta
        self.register_buffer("turns", turns, persistent=False)
        if SLOPES:
            slope = torch.Tensor([-0.3]).to(None) * self.turns
            self.register_buffer("slope", slope, persistent=False)

    def forward(self, length):
        places = self.position_ids[:length]
        far = (self.turns[places][:, None] - self.turns[places][None, :]).abs()
        return far * (self.slope[:1] - 0.3 if SLOPES else -0.3)


class NewForSequenceClassification(PreTrainedModel):
    config_class = NewConfig
    base_model_prefix = "new"

    def __init__(self, config):
        super().__init__(config)
        self.is_decoder, self.chunks = config.is_decoder, config.chunk_size_feed_forward
        size = config.hidden_size
        self.words = nn.Embedding(config.vocab_size, size)
        self.places = Places(config)
        self.mix = nn.Linear(size, 3 * size)
        self.classifier = nn.Linear(size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, return_dict=None, **_):
        assert self.get_head_mask(None, 1) == [None]
        assert create_position_ids_from_input_ids(input_ids, 1).shape == input_ids.shape
        bias = self.get_extended_attention_mask(attention_mask, input_ids.shape)[:, 0]
        states = self.words(input_ids)
        query, key, value = self.mix(states).chunk(3, dim=-1)
        weights = query @ key.transpose(1, 2) / 4 + self.places(input_ids.shape[1]) + bias
        states = states + weights.softmax(dim=-1) @ value
        mask = attention_mask.to(states.dtype)[..., None]
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
        return SequenceClassifierOutput(logits=self.classifier(torch.tanh(mean)))
"""


def build_older_encoder(folder: Path, *, seed: int = 0, computes_slopes: bool = False) -> Path:
    """Under the names of gte-multilingual-reranker.

    computes_slopes: the constructor multiplies tensors, as that of jina-reranker-v1 does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tok.make_xlm_roberta_tokenizer()
    tokenizer.save_pretrained(folder)
    vocab_size = round_up(len(tokenizer))
    # transformers takes the model class that it knows for a config class: each kind has its own.
    own = f"# slopes: {computes_slopes}\n{_CONFIGURATION}"
    (folder / "configuration.py").write_text(own, encoding="utf-8")
    code = _MODELING.replace("SLOPES", str(computes_slopes))
    (folder / "modeling.py").write_text(code, encoding="utf-8")
    write_json(
        folder / "config.json",
        {
            "architectures": ["NewForSequenceClassification"],
            "auto_map": {
                "AutoConfig": "configuration.NewConfig",
                "AutoModelForSequenceClassification": "modeling.NewForSequenceClassification",
            },
            "model_type": "new",
            "vocab_size": vocab_size,
            "hidden_size": _HIDDEN_SIZE,
            "pad_token_id": tokenizer.pad_token_id,
            "id2label": {"0": "LABEL_0"},
            "rope_theta": 20.0,
            "rope_scaling": {"factor": 8.0, "type": "ntk"},
        },
    )
    shapes = {
        "words.weight": (vocab_size, _HIDDEN_SIZE),
        "mix.weight": (3 * _HIDDEN_SIZE, _HIDDEN_SIZE),
        "mix.bias": (3 * _HIDDEN_SIZE,),
        "classifier.weight": (1, _HIDDEN_SIZE),
        "classifier.bias": (1,),
    }
    return write_noise(folder, shapes, seed=seed)
