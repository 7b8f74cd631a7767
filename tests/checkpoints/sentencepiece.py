"""Small tokenizers of the sentencepiece kind, as Gemma, Llama and Mistral have them."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GemmaTokenizer, LlamaTokenizer

from ._training_text import training_lines

__all__ = ["make_gemma_tokenizer", "make_llama_tokenizer"]

_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def make_gemma_tokenizer(
    *, answers: tuple[str, ...] = ("Yes",), model_max_length: int = 8192
) -> GemmaTokenizer:
    """BPE with the word mark and bytes, a line end is a token, nothing stands before a text."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    vocab, merges = _word_mark_bpe([*specials, *_BYTES, "\n", "\n\n"], answers)
    merges = [("\n", "\n"), *merges]
    arguments: dict[str, Any] = {"vocab": vocab, "merges": merges}  # typed as text, taken as pairs
    return GemmaTokenizer(**arguments, model_max_length=model_max_length)


def make_llama_tokenizer(
    *, answers: tuple[str, ...] = ("Yes",), model_max_length: int = 4096
) -> LlamaTokenizer:
    """The same with `<s>` and a word mark before every text, and line ends as bytes: pieces of a
    prompt have other tokens than the prompt has there.
    """
    vocab, merges = _word_mark_bpe(["<unk>", "<s>", "</s>", *_BYTES], answers)
    return LlamaTokenizer(
        vocab=vocab,
        merges=merges,
        pad_token="</s>",
        add_bos_token=True,
        model_max_length=model_max_length,
    )


def _word_mark_bpe(
    first: list[str], answers: tuple[str, ...]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary with these tokens first, and merges; each answer becomes one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False)
    tokenizer.train_from_iterator(training_lines(), trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    words = sorted(trained["vocab"], key=trained["vocab"].__getitem__)
    # Before the trained ones: no other merge may take a part of an answer first.
    merges = [(answer[:end], answer[end]) for answer in answers for end in range(1, len(answer))]
    merges += [(left, right) for left, right in trained["merges"] if (left, right) not in merges]
    for answer in answers:
        words += [*answer, *(answer[:end] for end in range(1, len(answer) + 1))]
    ids = {word: place for place, word in enumerate(dict.fromkeys([*first, *words]))}
    return ids, merges
