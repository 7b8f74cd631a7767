"""Tiny encoders whose architecture is in Python files of the checkpoint's own.

As published: one says that it is a BERT, one gives its class the name of transformers' XLM-RoBERTa
and no model_type, one has a model_type of its own. Distances between tokens weigh in (ALiBi), the
mean of all tokens is scored: neither is what transformers' classes of those names compute.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import tokenizers as tok
from ._save import round_up, write_json, write_noise

__all__ = ["build_own_bert", "build_own_new", "build_own_xlm_roberta"]

_HIDDEN_SIZE = 16
_CODE = """
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class {config}(PretrainedConfig):
    model_type = "{model_type}"

    def __init__(self, vocab_size=100, hidden_size=16, **others):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        super().__init__(**others)


class {model}(PreTrainedModel):
    config_class = {config}
    base_model_prefix = "roberta"

    def __init__(self, config):
        super().__init__(config)
        size = config.hidden_size
        self.words = nn.Embedding(config.vocab_size, size)
        self.mix = nn.Linear(size, 3 * size)
        self.classifier = nn.Linear(size, config.num_labels)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, return_dict=None, **_):
        states = self.words(input_ids)
        query, key, value = self.mix(states).chunk(3, dim=-1)
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        far = (place[:, None] - place[None, :]).abs().to(states.dtype)
        weights = query @ key.transpose(1, 2) / 4 - 0.3 * far
        weights = weights.masked_fill(attention_mask[:, None, :] == 0, -1e9)
        states = states + weights.softmax(dim=-1) @ value
        mask = attention_mask.to(states.dtype)[..., None]
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
        return SequenceClassifierOutput(logits=self.classifier(torch.tanh(mean)))
"""


@dataclass(frozen=True)
class _Names:
    """What a vendor calls things. model_type: "" leaves it out of config.json."""

    model_type: str
    config: str
    model: str
    architecture: str
    file: str


def build_own_bert(folder: Path, *, seed: int = 0) -> Path:
    """Like jina-reranker-v1: model_type bert, architectures JinaBertModel."""
    names = _Names(
        "bert",
        "JinaBertConfig",
        "JinaBertForSequenceClassification",
        "JinaBertModel",
        "modeling_bert",
    )
    return _build(folder, names, tok.make_bert_tokenizer(), seed, position_embedding_type="alibi")


def build_own_xlm_roberta(folder: Path, *, seed: int = 0) -> Path:
    """Like jina-reranker-v2, with other positions: no model_type, and a class with a name that
    transformers has too.
    """
    name = "XLMRobertaForSequenceClassification"
    names = _Names("", "XLMRobertaFlashConfig", name, name, "modeling_xlm_roberta")
    own = {"use_flash_attn": True, "position_embedding_type": "alibi"}
    return _build(folder, names, tok.make_xlm_roberta_tokenizer(), seed, **own)


def build_own_new(folder: Path, *, seed: int = 0) -> Path:
    """Like gte-multilingual-reranker-base: model_type new."""
    name = "NewForSequenceClassification"
    names = _Names("new", "NewConfig", name, name, "modeling")
    return _build(folder, names, tok.make_xlm_roberta_tokenizer(), seed, unpad_inputs=False)


def _build(folder: Path, names: _Names, tokenizer: Any, seed: int, **fields: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    vocab_size = round_up(len(tokenizer))
    own_type = names.model_type or "xlm-roberta"
    code = _CODE.format(config=names.config, model=names.model, model_type=own_type)
    (folder / f"{names.file}.py").write_text(code, encoding="utf-8")
    classifier = f"{names.file}.{names.model}"
    write_json(
        folder / "config.json",
        {
            "architectures": [names.architecture],
            "auto_map": {
                "AutoConfig": f"{names.file}.{names.config}",
                "AutoModelForSequenceClassification": classifier,
            },
            **({"model_type": names.model_type} if names.model_type else {}),
            "vocab_size": vocab_size,
            "hidden_size": _HIDDEN_SIZE,
            "pad_token_id": tokenizer.pad_token_id,
            "id2label": {"0": "LABEL_0"},
            **fields,
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
