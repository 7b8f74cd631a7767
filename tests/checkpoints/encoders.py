"""Tiny encoder cross-encoders, laid out like the published repositories.

Most published ones have no sentence-transformers files; `with_st_files=True` rewrites the folder
through sentence-transformers' own `save_pretrained`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from . import tokenizers as tok
from ._save import make_model, round_up, write_json

__all__ = [
    "StoredActivation",
    "build_bert",
    "build_bert_nli",
    "build_deberta_v2",
    "build_deberta_v2_nli",
    "build_electra",
    "build_modernbert",
    "build_roberta",
    "build_xlm_roberta",
]

StoredActivation = Literal["none", "st", "legacy"]
_IDENTITY = "torch.nn.modules.linear.Identity"
_ACTIVATION_ENTRIES: dict[StoredActivation, dict[str, Any]] = {
    "none": {},
    "st": {"sentence_transformers": {"activation_fn": _IDENTITY, "version": "4.1.0"}},
    "legacy": {"sbert_ce_default_activation_function": _IDENTITY},
}
_ONE_LABEL: dict[str, Any] = {"num_labels": 1}
_NLI_LABELS = {0: "contradiction", 1: "entailment", 2: "neutral"}
_BODY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}
# Fresh matrices have a standard deviation of 0.02; at a width of 32 the layers then add almost
# nothing to the residual stream and all pairs score alike.
_GAIN = 12.0
_MODERNBERT_GAIN = 4.0  # its own initialisation is stronger


def build_bert(
    folder: Path,
    *,
    seed: int = 0,
    stored_activation: StoredActivation = "st",
    with_st_files: bool = False,
) -> Path:
    """MiniLM-like BERT with one label.

    stored_activation: "st" and "legacy" name Identity in config.json (4.x and older spelling),
        "none" leaves it out, so that loaders fall back to Sigmoid.
    """
    tokenizer = tok.make_bert_tokenizer()
    config = BertConfig(**_sizes(tokenizer), **_BODY, max_position_embeddings=512, **_ONE_LABEL)
    model = _lively(lambda: BertForSequenceClassification(config), seed)
    _save(folder, model, tokenizer, stored_activation=stored_activation)
    return _finished(folder, with_st_files=with_st_files)


def build_bert_nli(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """BERT with the three labels contradiction, entailment, neutral."""
    tokenizer = tok.make_bert_tokenizer()
    config = BertConfig(**_sizes(tokenizer), **_BODY, max_position_embeddings=512, **_nli())
    _save(folder, _lively(lambda: BertForSequenceClassification(config), seed), tokenizer)
    return _finished(folder, with_st_files=with_st_files)


def build_electra(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """ELECTRA with an embedding narrower than the layers, one label, Identity stored."""
    tokenizer = tok.make_bert_tokenizer()
    sizes = {**_sizes(tokenizer), **_BODY, "embedding_size": 16}
    config = ElectraConfig(**sizes, max_position_embeddings=512, **_ONE_LABEL)
    model = _lively(lambda: ElectraForSequenceClassification(config), seed)
    _save(folder, model, tokenizer, stored_activation="st")
    return _finished(folder, with_st_files=with_st_files)


def build_roberta(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """RoBERTa with one label; 514 positions of which two are reserved, the tokenizer says 512."""
    tokenizer = tok.make_roberta_tokenizer(model_max_length=512)
    config = RobertaConfig(
        **_sizes(tokenizer), **_BODY, max_position_embeddings=514, type_vocab_size=1, **_ONE_LABEL
    )
    _save(folder, _lively(lambda: RobertaForSequenceClassification(config), seed), tokenizer)
    return _finished(folder, with_st_files=with_st_files)


def build_xlm_roberta(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """XLM-RoBERTa with one label, laid out like the bge rerankers; positions as in RoBERTa."""
    tokenizer = tok.make_xlm_roberta_tokenizer(model_max_length=512)
    config = XLMRobertaConfig(
        **_sizes(tokenizer), **_BODY, max_position_embeddings=514, type_vocab_size=1, **_ONE_LABEL
    )
    _save(folder, _lively(lambda: XLMRobertaForSequenceClassification(config), seed), tokenizer)
    return _finished(folder, with_st_files=with_st_files)


def build_modernbert(
    folder: Path,
    *,
    seed: int = 0,
    classifier_pooling: Literal["cls", "mean"] = "mean",
    with_st_files: bool = False,
) -> Path:
    """ModernBERT with one label; four layers, so that global and local attention both occur.

    The window of the local layers is 16 tokens (8 each side): shorter than a usual test pair.
    """
    tokenizer = tok.make_modernbert_tokenizer()
    layers = {**_BODY, "num_hidden_layers": 4, "global_attn_every_n_layers": 3}
    config = ModernBertConfig(
        **_sizes(tokenizer),
        **layers,
        max_position_embeddings=8192,
        local_attention=16,
        classifier_pooling=classifier_pooling,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        **_ONE_LABEL,
    )
    model = _lively(lambda: ModernBertForSequenceClassification(config), seed, _MODERNBERT_GAIN)
    _save(folder, model, tokenizer)
    return _finished(folder, with_st_files=with_st_files)


def build_deberta_v2(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """DeBERTa-v3 shape (relative positions in buckets, shared keys), one label, no activation."""
    return _build_deberta(folder, seed=seed, labels=_ONE_LABEL, with_st_files=with_st_files)


def build_deberta_v2_nli(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """The same with the three NLI labels."""
    return _build_deberta(folder, seed=seed, labels=_nli(), with_st_files=with_st_files)


def _build_deberta(folder: Path, *, seed: int, labels: dict[str, Any], with_st_files: bool) -> Path:
    tokenizer = tok.make_deberta_tokenizer()
    relative_positions: dict[str, Any] = {
        "relative_attention": True,
        "max_relative_positions": -1,
        "position_buckets": 32,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
        "pooler_hidden_size": _BODY["hidden_size"],
    }
    config = DebertaV2Config(
        **_sizes(tokenizer), **_BODY, **relative_positions, **labels, max_position_embeddings=512
    )
    _save(folder, _lively(lambda: DebertaV2ForSequenceClassification(config), seed), tokenizer)
    return _finished(folder, with_st_files=with_st_files)


def _sizes(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {"vocab_size": round_up(len(tokenizer)), "pad_token_id": tokenizer.pad_token_id}


def _nli() -> dict[str, Any]:
    return {"id2label": _NLI_LABELS, "label2id": {name: i for i, name in _NLI_LABELS.items()}}


def _lively(
    construct: Callable[[], PreTrainedModel], seed: int, matrix_gain: float = _GAIN
) -> PreTrainedModel:
    return make_model(construct, seed=seed, matrix_gain=matrix_gain)


def _save(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    stored_activation: StoredActivation = "none",
) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config_file = folder / "config.json"
    config = json.loads(config_file.read_text(encoding="utf-8"))
    write_json(config_file, {**config, **_ACTIVATION_ENTRIES[stored_activation]})


def _finished(folder: Path, *, with_st_files: bool) -> Path:
    if with_st_files:
        from sentence_transformers import CrossEncoder

        with tempfile.TemporaryDirectory() as other:
            plain = Path(shutil.copytree(folder, Path(other) / "plain"))
            shutil.rmtree(folder)
            CrossEncoder(str(plain), device="cpu").save_pretrained(
                str(folder), create_model_card=False
            )
    return folder
