"""Tiny checkpoints with one thing wrong, each in a way that has been met with published ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from tests.checkpoints import (
    build_bert,
    build_llama_without_yes_no,
    build_qwen3,
    build_qwen3_vl_plain,
    build_roberta,
)

__all__ = ["SPOILT", "Spoilt"]

# Writes a checkpoint into the folder and spoils it.
Spoilt = Callable[[Path], Path]


def _edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path, metadata={"format": "pt"})


def _score_ids(folder: Path) -> dict[str, int]:
    ids: dict[str, int] = json.loads((folder / "1_LogitScore" / "config.json").read_text())
    return ids


def tokens_missing(folder: Path) -> Path:
    return build_llama_without_yes_no(folder)


def token_behind_the_vocabulary(folder: Path) -> Path:
    _edit_json(build_qwen3(folder) / "1_LogitScore" / "config.json", true_token_id=760)
    return folder


def token_unknown(folder: Path) -> Path:
    build_qwen3(folder)
    _edit_json(folder / "tokenizer_config.json", unk_token="<|endoftext|>")
    unknown = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("<|endoftext|>")
    _edit_json(folder / "1_LogitScore" / "config.json", false_token_id=unknown)
    return folder


def tokens_equal(folder: Path) -> Path:
    ids = _score_ids(build_qwen3(folder))
    _edit_json(folder / "1_LogitScore" / "config.json", false_token_id=ids["true_token_id"])
    return folder


def tokens_exchanged(folder: Path) -> Path:
    ids = _score_ids(build_qwen3(folder))
    true, false = ids["false_token_id"], ids["true_token_id"]
    path = folder / "1_LogitScore" / "config.json"
    _edit_json(path, true_token_id=true, false_token_id=false)
    return folder


def document_dropped(folder: Path) -> Path:
    template = build_qwen3(folder) / "chat_template.jinja"
    template.write_text(template.read_text().replace("+ ns.document +", "+"))
    return folder


def prompt_cut(folder: Path) -> Path:
    template = build_qwen3(folder) / "chat_template.jinja"
    text = template.read_text()
    template.write_text(text[: text.index("{{- '<|im_start|>assistant")])
    return folder


def classifier_missing(folder: Path) -> Path:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith("classifier.")]:
            del weights[name]

    _edit_weights(build_bert(folder), drop)
    return folder


def layer_missing(folder: Path) -> Path:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        del weights["model.layers.1.mlp.up_proj.weight"]

    _edit_weights(build_qwen3(folder), drop)
    return folder


def weights_nan(folder: Path) -> Path:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["model.norm.weight"][3] = float("nan")

    _edit_weights(build_qwen3(folder), spoil)
    return folder


def tokenizer_of_another_model(folder: Path) -> Path:
    tokenizer = AutoTokenizer.from_pretrained(build_qwen3(folder))
    tokenizer.add_tokens([f"another{number}" for number in range(200)])
    tokenizer.save_pretrained(folder)
    return folder


def head_without_effect(folder: Path) -> Path:
    def flatten(weights: dict[str, torch.Tensor]) -> None:
        weights["classifier.weight"].zero_()

    _edit_weights(build_bert(folder), flatten)
    return folder


def longer_than_positions(folder: Path) -> Path:
    # 514 positions, of which two are reserved: without the tokenizer's limit, 514 are taken.
    _edit_json(build_roberta(folder) / "tokenizer_config.json", model_max_length=10**30)
    return folder


def chat_model(folder: Path) -> Path:
    return build_qwen3_vl_plain(folder / "Qwen3-VL-2B-Instruct")


def scores_unlike_published(folder: Path) -> Path:
    return build_qwen3(folder / "Qwen3-Reranker-0.6B")


# What is spoilt -> the row that says so, words of what was found, words of what to do.
SPOILT: dict[Spoilt, tuple[str, str, str]] = {
    tokens_missing: ("loading", "no single token 'yes'", "--processor"),
    token_behind_the_vocabulary: ("score tokens", "no entry of the vocabulary", "true_token_id"),
    token_unknown: ("score tokens", "the false one is the unknown token", "false_token_id"),
    tokens_equal: ("score tokens", "both are one token", "--processor"),
    tokens_exchanged: ("score tokens", "they are exchanged", "true_token_id"),
    document_dropped: ("prompt", "document content does not reach", "chat_template.jinja"),
    prompt_cut: ("end of the prompt", "it is cut", "chat_template.jinja"),
    classifier_missing: ("trained weights", "random numbers: classifier.", "mmrerank train"),
    layer_missing: ("loading", "lacks 1 weights", "fetch them again"),
    weights_nan: ("numbers", "NaN or infinite: model.norm.weight", "fetch the weights again"),
    tokenizer_of_another_model: ("vocabulary", "have no state", "tokenizer files"),
    head_without_effect: ("scores", "all have the logit", "--processor"),
    longer_than_positions: ("max_length", "514 tokens; the model has 512", "max_length=512"),
    chat_model: ("loading", "looks like a plain qwen3_vl model", "--processor"),
    scores_unlike_published: ("golden pairs", "published -3.1093", "model card"),
}
