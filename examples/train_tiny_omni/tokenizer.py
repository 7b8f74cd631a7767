"""A small byte-level BPE tokenizer: world words are single tokens, any UTF-8 text encodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .captions import describe, every_caption_word
from .english import WORDS, make_sentence
from .world import all_scenes, random_named

__all__ = ["SPECIAL_TOKENS", "token_id", "train_tokenizer"]

SPECIAL_TOKENS = {
    "pad_token": "<|endoftext|>",
    "im_start_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
    "image_token": "<|IMAGE|>",
    "video_token": "<|VIDEO|>",
    "audio_token": "<|AUDIO|>",
}
# Words keep the space in front; digits stay single, so numbers split the same way everywhere.
_SPLIT = Regex(r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+")


def train_tokenizer(*, vocab_size: int = 2000, seed: int = 0) -> PreTrainedTokenizerFast:
    """Train the tokenizer on generated captions and ordinary words; the same each time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_SPLIT, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed), trainer)
    extra = {k: v for k, v in SPECIAL_TOKENS.items() if k not in ("pad_token", "eos_token")}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL_TOKENS["pad_token"],
        eos_token=SPECIAL_TOKENS["eos_token"],
        extra_special_tokens=extra,
        padding_side="left",
        model_max_length=4096,
    )


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """Return the id of one token of the vocabulary."""
    return int(tokenizer.get_vocab()[token])


def _corpus(seed: int) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    # Often: so often that the merges of each word finish before the vocabulary is full.
    for word in every_caption_word():
        yield from (word, f" {word}") * 400
    for word in ("user", "assistant", "query", "document", "system"):
        yield from (word, f" {word}") * 400
    for word in WORDS:
        yield from (f" {word}", word, word.capitalize()) * 12
    for kind in ("picture", "clip", "sound"):
        for scene in all_scenes(kind, held_out=False):
            yield describe(scene, random_named(kind, rng), rng)
    for _ in range(4000):
        yield make_sentence(rng)
