"""Tiny language models in the file layouts of the published LLM rerankers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from ._save import make_model, round_up, write_json
from ._st_files import write_logit_score_files
from ._templates import CHATML_KNOWN_ROLES
from .sentencepiece import make_gemma_tokenizer, make_llama_tokenizer
from .tokenizers import make_qwen_tokenizer

__all__ = [
    "build_bge_gemma",
    "build_contextual",
    "build_followir",
    "build_mxbai",
    "build_rank_llama",
    "build_zerank",
]

_GAIN = 8.0
_BODY: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
# The roles as sentence-transformers sends them; contents are plain strings.
_ZERANK_2 = (
    "{%- set ns = namespace(instruction=none, query='', document='') -%}\n"
    "{%- for message in messages -%}\n"
    "    {%- if message.role == 'system' -%}{%- set ns.instruction = message.content -%}\n"
    "    {%- elif message.role == 'query' -%}{%- set ns.query = message.content -%}\n"
    "    {%- else -%}{%- set ns.document = message.content -%}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if ns.instruction is not none -%}\n"
    "    {%- set ns.query = '<query>' ~ ns.query ~ '</query>\\n<instruction>' ~ ns.instruction"
    " ~ '</instruction>' -%}\n"
    "{%- endif -%}\n"
    "{{- '<|im_start|>system\\n' ~ ns.query ~ '<|im_end|>\\n<|im_start|>user\\n' ~ ns.document"
    " ~ '<|im_end|>\\n' -}}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n"
)


def build_bge_gemma(folder: Path, *, seed: int = 0) -> Path:
    """Gemma as BGE publishes it: one key and value head, tied embeddings, no template."""
    tokenizer = make_gemma_tokenizer()
    sizes = {**_BODY, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 8192}
    config = GemmaConfig(**sizes, **_vocabulary(tokenizer), tie_word_embeddings=True)
    model = make_model(lambda: GemmaForCausalLM(config), seed=seed, matrix_gain=_GAIN)
    return _saved(folder, model, tokenizer)


def build_mxbai(folder: Path, *, seed: int = 0) -> Path:
    """Qwen2 that answers 1 or 0, with the chat template of its base model."""
    tokenizer = make_qwen_tokenizer(answers=("1", "0"), model_max_length=32768)
    tokenizer.chat_template = CHATML_KNOWN_ROLES
    sizes = {**_BODY, "max_position_embeddings": 32768, "tie_word_embeddings": True}
    config = Qwen2Config(**sizes, **_vocabulary(tokenizer))
    model = make_model(lambda: Qwen2ForCausalLM(config), seed=seed, matrix_gain=_GAIN)
    return _saved(folder, model, tokenizer)


def build_zerank(folder: Path, *, seed: int = 0, with_st_files: bool = False) -> Path:
    """Qwen3 that answers Yes, with the chat template of its base model.

    with_st_files: those of zerank-2: one token, no `module_input_name`, a template with roles.
    """
    tokenizer = make_qwen_tokenizer(answers=("Yes",))
    tokenizer.chat_template = _ZERANK_2 if with_st_files else CHATML_KNOWN_ROLES
    _saved(folder, _qwen3(tokenizer, seed), tokenizer)
    if with_st_files:
        write_logit_score_files(
            folder,
            tokenizer,
            task="text-generation",
            modalities=["text"],
            message_format="flat",
            prompts={},
            processing_kwargs={"chat_template": {"add_generation_prompt": True}},
        )
        yes = tokenizer.convert_tokens_to_ids("Yes")
        write_json(
            folder / "1_LogitScore" / "config.json",
            {"true_token_id": yes, "false_token_id": None},
        )
    return folder


def build_contextual(
    folder: Path, *, seed: int = 0, architecture: Literal["qwen3", "mistral"] = "qwen3"
) -> Path:
    """No chat template; the score is the logit of the vocabulary's first entry."""
    if architecture == "qwen3":
        qwen = make_qwen_tokenizer()
        return _saved(folder, _qwen3(qwen, seed), qwen)
    tokenizer = make_llama_tokenizer()
    return _saved(folder, _mistral(tokenizer, seed), tokenizer)


def build_followir(folder: Path, *, seed: int = 0) -> Path:
    """Mistral that answers true or false."""
    tokenizer = make_llama_tokenizer(answers=("true", "false"))
    return _saved(folder, _mistral(tokenizer, seed), tokenizer)


def build_rank_llama(folder: Path, *, seed: int = 0) -> Path:
    """Llama that answers true or false."""
    tokenizer = make_llama_tokenizer(answers=("true", "false"))
    sizes = {**_BODY, "max_position_embeddings": 4096, "tie_word_embeddings": False}
    config = LlamaConfig(**sizes, **_vocabulary(tokenizer))
    model = make_model(lambda: LlamaForCausalLM(config), seed=seed, matrix_gain=_GAIN)
    return _saved(folder, model, tokenizer)


def _qwen3(tokenizer: PreTrainedTokenizerBase, seed: int) -> Qwen3ForCausalLM:
    sizes = {**_BODY, "head_dim": 16, "max_position_embeddings": 40960}
    config = Qwen3Config(**sizes, **_vocabulary(tokenizer), tie_word_embeddings=True)
    return make_model(lambda: Qwen3ForCausalLM(config), seed=seed, matrix_gain=_GAIN)


def _mistral(tokenizer: PreTrainedTokenizerBase, seed: int) -> MistralForCausalLM:
    sizes = {**_BODY, "max_position_embeddings": 32768, "sliding_window": None}
    config = MistralConfig(**sizes, **_vocabulary(tokenizer))
    return make_model(lambda: MistralForCausalLM(config), seed=seed, matrix_gain=_GAIN)


def _vocabulary(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": round_up(len(tokenizer)),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _saved(folder: Path, model: Any, tokenizer: PreTrainedTokenizerBase) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
