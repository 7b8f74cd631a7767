"""Small tokenizers of the kinds that open rerankers use, made from a few sentences."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    BertTokenizer,
    DebertaV2Tokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    RobertaTokenizer,
    T5Tokenizer,
    XLMRobertaTokenizer,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from ._training_text import training_lines

__all__ = [
    "QWEN_VISION_TOKENS",
    "byte_bpe",
    "make_bert_tokenizer",
    "make_deberta_tokenizer",
    "make_modernbert_tokenizer",
    "make_qwen_tokenizer",
    "make_roberta_tokenizer",
    "make_t5_tokenizer",
    "make_xlm_roberta_tokenizer",
]

_LONGEST_WHOLE_WORD = 6
_BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_QWEN_SPECIALS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
QWEN_VISION_TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
}


def make_bert_tokenizer(*, model_max_length: int = 512) -> BertTokenizer:
    """WordPiece, lower case, `[CLS] a [SEP] b [SEP]` with token_type_ids."""
    vocab = {token: index for index, token in enumerate(_wordpiece_tokens())}
    return BertTokenizer(vocab=vocab, model_max_length=model_max_length)


def make_roberta_tokenizer(*, model_max_length: int = 512) -> RobertaTokenizer:
    """Byte-level BPE, `<s> a </s></s> b </s>`, no token_type_ids; <pad> has the id 1."""
    vocab, merges = byte_bpe(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=model_max_length)


def make_xlm_roberta_tokenizer(*, model_max_length: int = 512) -> XLMRobertaTokenizer:
    """Unigram with the word mark, `<s> a </s></s> b </s>`; <pad> has the id 1."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = [*((token, 0.0) for token in specials), *_unigram_pieces(), ("<mask>", 0.0)]
    return XLMRobertaTokenizer(vocab=vocab, model_max_length=model_max_length)


def make_deberta_tokenizer(*, model_max_length: int = 512) -> DebertaV2Tokenizer:
    """Unigram with the word mark, `[CLS] a [SEP] b [SEP]` with token_type_ids."""
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    vocab = [*((token, 0.0) for token in specials), *_unigram_pieces(), ("[MASK]", 0.0)]
    return DebertaV2Tokenizer(vocab=vocab, model_max_length=model_max_length)


def make_t5_tokenizer(
    *, num_extra_ids: int = 100, model_max_length: int | None = 512
) -> T5Tokenizer:
    """Unigram with the word mark, `a </s>`; the extra ids stand last, <extra_id_0> at the end.

    The words that published T5 rerankers answer with, and those of their prompts, are pieces.
    """
    words = ["true", "false", "yes", "no", "sim", "não", "Query", "Document", "Relevant"]
    pieces = dict(_unigram_pieces())
    rarest = min(pieces.values())
    pieces |= {piece: rarest for piece in (":", *(f"▁{word}" for word in words))}
    specials = [(token, 0.0) for token in ("<pad>", "</s>", "<unk>")]
    extra = [(f"<extra_id_{number}>", 0.0) for number in reversed(range(num_extra_ids))]
    limit = {} if model_max_length is None else {"model_max_length": model_max_length}
    vocab = [*specials, *pieces.items(), *extra]
    return T5Tokenizer(vocab=vocab, extra_ids=num_extra_ids, **limit)


def make_modernbert_tokenizer(*, model_max_length: int = 8192) -> PreTrainedTokenizerFast:
    """Byte-level BPE with BERT's specials, `[CLS] a [SEP] b [SEP]`, without token_type_ids."""
    vocab, merges = byte_bpe(_BERT_SPECIALS)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=model_max_length,
    )


def make_qwen_tokenizer(
    *, answers: tuple[str, ...] = ("yes", "no"), model_max_length: int = 131072
) -> Qwen2Tokenizer:
    """Byte-level BPE with Qwen's specials behind the vocabulary; every answer is one token.

    `<think>` and `</think>` are added tokens that are not special, as in the published files.
    """
    vocab, merges = byte_bpe([], answers=answers, qwen_splits=True)
    no_token: Any = None  # as in the published files; the signature asks for a str
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token=no_token,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=_QWEN_SPECIALS,
        model_max_length=model_max_length,
    )
    tokenizer.add_tokens([AddedToken(token, special=False) for token in ("<think>", "</think>")])
    return tokenizer


def byte_bpe(
    specials: list[str],
    *,
    answers: tuple[str, ...] = (),
    qwen_splits: bool = False,
    vocab_size: int = 700,
) -> tuple[dict[str, int], Any]:
    """Vocabulary and merges (pairs of tokens) of a byte-level BPE; specials have the first ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        if qwen_splits
        else pre_tokenizers.ByteLevel(add_prefix_space=False)
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_lines(answers=answers), trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    return trained["vocab"], [tuple(merge) for merge in trained["merges"]]


def _wordpiece_tokens() -> list[str]:
    """Specials, characters (first and inner), then words, some of them cut into two pieces.

    By hand, as below: the library's WordPiece trainer gave other ids on every run.
    """
    splitter = pre_tokenizers.BertPreTokenizer()
    lines = [line.lower() for line in training_lines()]
    words = sorted({word for line in lines for word, _ in splitter.pre_tokenize_str(line)})
    characters = sorted({character for word in words for character in word})
    long_words = [word for word in words if len(word) > _LONGEST_WHOLE_WORD]
    pieces = [word for word in words if 1 < len(word) <= _LONGEST_WHOLE_WORD]
    pieces += [word[:_LONGEST_WHOLE_WORD] for word in long_words]
    pieces += ["##" + word[_LONGEST_WHOLE_WORD:] for word in long_words]
    inner = ["##" + character for character in characters]
    return list(dict.fromkeys([*_BERT_SPECIALS, *characters, *inner, *pieces]))


def _unigram_pieces() -> list[tuple[str, float]]:
    """Every character, every word and its beginnings, scored by how often they occur.

    By hand, as above, for ids and scores that are the same on every run.
    """
    words = Counter(word for line in training_lines() for word in line.split())
    counts: Counter[str] = Counter({"▁": sum(words.values())})
    for word, count in words.items():
        counts.update({character: count for character in word})
        for length in (2, 3, len(word)):
            counts["▁" + word[:length]] += count
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(piece, math.log(count / total)) for piece, count in ordered]
