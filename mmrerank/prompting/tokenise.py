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
        if template.tokenize == "parts" and template.special_tokens:
            raise SpecError(
                'special_tokens = true and tokenize = "parts" exclude each other: pieces are '
                "tokenised without special tokens. Write those into the template."
            )
        self._tokenizer = tokenizer
        self._suffix = list(template.suffix_ids)
        adds = has_processor if template.special_tokens is None else template.special_tokens
        self._adds_special_tokens = adds and template.tokenize == "whole"
        self._lock = CopyableLock()

    def ids(self, prompts: Sequence[str], mark: str) -> list[list[int]]:
        """Token ids of each prompt, those behind it included."""
        pieces = [_pieces(prompt, mark) for prompt in prompts]
        flat = self._call([piece for own in pieces for piece in own])["input_ids"]
        rows: list[list[int]] = []
        taken = 0
        for own in pieces:
            row = [token for ids in flat[taken : taken + len(own)] for token in ids]
            rows.append(row + self._suffix)
            taken += len(own)
        return rows

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
