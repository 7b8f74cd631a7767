"""Tiny generative listwise rerankers with the files of LightOn-rerank-LW."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AddedToken, Qwen2Tokenizer, Qwen3_5ForConditionalGeneration

from ._save import make_model
from ._templates import QWEN3_5_CHAT, QWEN3_5_CHAT_THINKING
from .qwen3_5 import qwen3_5_config, save_processor
from .tokenizers import make_qwen_tokenizer

__all__ = ["FIXED_ANSWER", "build_lighton_rerank_lw"]

_GAIN = 8.0
# Each piece is a token. What it begins with is a permutation for windows of two and three as well.
_PIECES = ("[2]", " > ", "[1]", " >", "[3]", "> ", "[4]")
FIXED_ANSWER = "".join(_PIECES)


def build_lighton_rerank_lw(
    folder: Path, *, seed: int = 0, thinks: bool = False, is_fixed: bool = False
) -> Path:
    """Random weights, which write nonsense.

    thinks: with the chat template of the 4B, which opens a thought. is_fixed: with weights that
    write FIXED_ANSWER whatever the prompt asks.
    """
    tokenizer = make_qwen_tokenizer(model_max_length=262144)
    if is_fixed:
        tokenizer.add_tokens([AddedToken(piece, special=False) for piece in _PIECES])
    config = qwen3_5_config(tokenizer, is_tied=not is_fixed)
    model = make_model(
        lambda: Qwen3_5ForConditionalGeneration(config), seed=seed, matrix_gain=_GAIN
    )
    if is_fixed:
        _fix_answer(model, tokenizer)
    else:
        _listen(model)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    # As published for Qwen3.5: sampled, unless the caller says otherwise.
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.95, top_k=20)
    model.save_pretrained(folder)
    save_processor(folder, tokenizer, QWEN3_5_CHAT_THINKING if thinks else QWEN3_5_CHAT)
    return folder


def _listen(model: Any) -> None:
    """What is written depends on what was read, more than on the word before: sharp attention, with
    more weight than the word itself.
    """
    with torch.no_grad():
        for name, parameter in model.model.language_model.named_parameters():
            if name.endswith("embed_tokens.weight"):
                parameter.mul_(0.1)
            elif name.endswith(("o_proj.weight", "out_proj.weight")):
                parameter.mul_(8.0)
            elif name.endswith(("q_norm.weight", "k_norm.weight")):
                parameter.add_(6.0)


def _fix_answer(model: Any, tokenizer: Qwen2Tokenizer) -> None:
    """Each token of the answer is written behind the one before it, the first behind a line's end:
    no layer adds anything to the last token's own embedding, and the output rows look for that.
    """
    embeddings = model.get_input_embeddings().weight
    rows = model.get_output_embeddings().weight
    pieces: Any = tokenizer.convert_tokens_to_ids(list(_PIECES))
    ends = {token: pieces[0] for end in ("\n", "\n\n") for token in tokenizer(end)["input_ids"]}
    following = {**ends, **dict(zip(pieces, [*pieces[1:], tokenizer.eos_token_id], strict=True))}
    with torch.no_grad():
        for name, parameter in model.model.language_model.named_parameters():
            if name.endswith(("o_proj.weight", "out_proj.weight", "down_proj.weight")):
                parameter.zero_()
        rows.zero_()
        for before, token in following.items():
            rows[token] += embeddings[before] / embeddings[before].norm()
