"""Rendered prompts to token ids: as one string, or piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmrerank.errors import SpecError
from mmrerank.locks import CopyableLock
from mmrerank.specs import TemplateSpec

__all__ = ["PromptTokenizer"]


class PromptTokenizer:
    """A tokenizer as the template wants it used.

    A `mark` in a prompt cuts it into pieces that are tokenised by themselves; "" for no pieces.
    has_processor: whether a media processor holds the tokenizer; that lets it add its special
    tokens, a bare tokenizer of a chat model never does.
    """

    def __init__(self, tokenizer: Any, template: TemplateSpec, *, has_processor: bool) -> None:
        if template.tokenize != "whole" and template.special_tokens:
            raise SpecError(
                f'special_tokens = true and tokenize = "{template.tokenize}" exclude each other: '
                "pieces are "
                "tokenised without special tokens. Write those into the template."
            )
        self._tokenizer = tokenizer
        self._suffix = list(template.suffix_ids)
        adds = has_processor if template.special_tokens is None else template.special_tokens
        self._adds_special_tokens = adds and template.tokenize == "whole"
        self._lock = CopyableLock()

    def ids(self, prompts: Sequence[str], mark: str) -> list[list[list[int]]]:
        """Token ids of each prompt's pieces, those behind the prompt with the last one."""
        pieces = [_pieces(prompt, mark) for prompt in prompts]
        flat = self._call([piece for own in pieces for piece in own])["input_ids"]
        rows: list[list[list[int]]] = []
        taken = 0
        for own in pieces:
            *front, last = flat[taken : taken + len(own)]
            rows.append([*front, last + self._suffix])
            taken += len(own)
        return rows

    def beginning(self, text: str, max_tokens: int) -> tuple[str, int]:
        """What the first tokens of a text by itself read, and how many were left out."""
        # A token stands for one byte or more.
        if len(text.encode()) <= max_tokens:
            return text, 0
        ids = self._call([text])["input_ids"][0]
        if len(ids) <= max_tokens:
            return text, 0
        kept = self._tokenizer.decode(
            ids[:max_tokens], skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(kept), len(ids) - max_tokens

    def offsets(self, prompt: str, mark: str) -> np.ndarray:
        """(num_tokens, 2) characters of the marked prompt that each token covers; (0, 0) for
        tokens that stand for none.
        """
        pieces = _pieces(prompt, mark)
        rows = self._call(pieces, return_offsets_mapping=True)["offset_mapping"]
        found: list[np.ndarray] = []
        start = 0
        for piece, row in zip(pieces, rows, strict=True):
            own = np.asarray(row, dtype=np.int64).reshape(-1, 2)
            found.append(own + start * (own[:, 1:] > own[:, :1]))
            start += len(piece) + len(mark)
        suffix = np.zeros((len(self._suffix), 2), dtype=np.int64)
        return np.concatenate([*found, suffix])

    def suffix_text(self) -> str:
        """What `prompt()` shows for the tokens behind the prompt."""
        return "".join(self._tokenizer.convert_ids_to_tokens(self._suffix))

    def is_special(self, ids: np.ndarray) -> np.ndarray:
        """(num_tokens,) bool: added tokens, special or not."""
        special = [*self._tokenizer.all_special_ids, *self._tokenizer.added_tokens_decoder]
        return np.isin(ids, np.asarray(special))

    def _call(self, texts: list[str], **options: Any) -> Any:
        bos = self._tokenizer.bos_token
        adds = self._adds_special_tokens and not (bos and texts[0].startswith(bos))
        with self._lock:
            return self._tokenizer(
                texts,
                add_special_tokens=adds,
                padding=False,
                truncation=False,
                verbose=False,
                **options,
            )


def _pieces(prompt: str, mark: str) -> list[str]:
    return prompt.split(mark) if mark else [prompt]
