"""Tiny Qwen3 text rerankers in the three forms found on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
)

from ._save import make_model, round_up, write_json
from ._st_files import write_logit_score_files
from ._templates import CHATML, CHATML_KNOWN_ROLES, QWEN3_RERANKER
from .tokenizers import make_qwen_tokenizer

__all__ = ["QWEN3_INSTRUCTION", "build_qwen3", "build_qwen3_plain", "build_qwen3_seq_cls"]

QWEN3_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
ChatTemplate = Literal["all-roles", "chat-roles"]
_CHAT_TEMPLATES: dict[ChatTemplate, str] = {
    "all-roles": CHATML,
    "chat-roles": CHATML_KNOWN_ROLES,
}
_GAIN = 8.0


def build_qwen3(folder: Path, *, seed: int = 0) -> Path:
    """Qwen3-Reranker with sentence-transformers files: template with roles, raw log-odds."""
    tokenizer = make_qwen_tokenizer()
    tokenizer.chat_template = QWEN3_RERANKER
    _make_causal(tokenizer, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_logit_score_files(
        folder,
        tokenizer,
        task="text-generation",
        modalities=["text"],
        message_format="flat",
        prompts={"query": QWEN3_INSTRUCTION},
    )
    return folder


def build_qwen3_plain(
    folder: Path, *, seed: int = 0, chat_template: ChatTemplate = "all-roles"
) -> Path:
    """The same weights without sentence-transformers files and with an ordinary chat template.

    chat_template: "all-roles" is ChatML that passes query and document through; "chat-roles"
        renders system, user and assistant only, as the template of the published Qwen3 does.
    """
    tokenizer = make_qwen_tokenizer()
    tokenizer.chat_template = _CHAT_TEMPLATES[chat_template]
    _make_causal(tokenizer, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_qwen3_seq_cls(
    folder: Path,
    *,
    seed: int = 0,
    chat_template: ChatTemplate = "all-roles",
    with_pad_token: bool = True,
    with_st_files: bool = False,
) -> Path:
    """The conversion to one label: the head is lm_head[yes] - lm_head[no] of `build_qwen3`.

    No reranker template and no sentence-transformers files: the caller renders the prompt, as
    the cards of the published conversions tell.
    with_pad_token: whether config.json names one. with_st_files: the later form, with them and
        with a template of the roles; raw log-odds.
    """
    tokenizer = make_qwen_tokenizer()
    tokenizer.chat_template = _CHAT_TEMPLATES[chat_template]
    causal = _make_causal(tokenizer, seed)
    config = Qwen3Config(**{**_sizes(tokenizer), "num_labels": 1})
    if not with_pad_token:
        config.pad_token_id = None
    classifier = Qwen3ForSequenceClassification(config).eval()
    classifier.model.load_state_dict(causal.model.state_dict())
    yes, no = (tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    with torch.no_grad():
        rows = causal.lm_head.weight
        classifier.score.weight.copy_((rows[yes] - rows[no]).unsqueeze(0))
    classifier.save_pretrained(folder)
    if with_st_files:
        tokenizer.chat_template = QWEN3_RERANKER
        _write_classifier_files(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _write_classifier_files(folder: Path) -> None:
    """modules.json and what it names, for a Transformer that ends in a classifier."""
    module = "sentence_transformers.base.modules.transformer.Transformer"
    names = {"method": "forward", "method_output_name": "logits"}
    write_json(folder / "modules.json", [{"idx": 0, "name": "0", "path": "", "type": module}])
    write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": "sequence-classification",
            "modality_config": {"text": names, "message": {**names, "format": "flat"}},
            "module_output_name": "scores",
        },
    )
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {"sentence_transformers": "6.0.0"},
            "activation_fn": "torch.nn.modules.linear.Identity",
            "default_prompt_name": "query",
            "model_type": "CrossEncoder",
            "prompts": {"query": QWEN3_INSTRUCTION},
        },
    )


def _make_causal(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen3ForCausalLM:
    config = Qwen3Config(**_sizes(tokenizer))
    return make_model(lambda: Qwen3ForCausalLM(config), seed=seed, matrix_gain=_GAIN)


def _sizes(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    return {
        "vocab_size": round_up(len(tokenizer)),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 40960,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
        "tie_word_embeddings": True,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
