"""What is cut when a prompt is too long: text of the document, from its end; media and the frame
stay whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmrerank.errors import InputError
from mmrerank.specs import TruncationSpec

__all__ = ["Limits", "Tokens", "limits_of", "tokens_to_keep"]

_NO_LIMIT = 10**9  # tokenizers write "none" as a huge number


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tokens a prompt and its two sides may have; None = any number.

    query_text: of the query's text by itself, which is cut before the prompt is written.
    suffix_counts: whether what stands behind both sides counts towards `prompt`. suffix_extends:
    whether `prompt` grows by as much.
    """

    prompt: int | None = None
    query: int | None = None
    document: int | None = None
    suffix_counts: bool = True
    suffix_extends: bool = False
    query_text: int | None = None

    @property
    def has_sides(self) -> bool:
        """Whether one side has a limit of its own."""
        return self.query is not None or self.document is not None

    def may_pass(self, num_tokens: int) -> bool:
        """Whether a prompt of so many tokens could be longer than one of the limits."""
        return any(
            limit is not None and num_tokens > limit
            for limit in (self.prompt, self.query, self.document)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Where the tokens of a prompt stand; all arrays are (num_tokens,) bool.

    query, document: tokens that count as one of that side. free: tokens of the users' texts, which
    may be cut. num_behind: tokens of the frame behind both sides, at the end of the prompt.
    """

    query: np.ndarray
    document: np.ndarray
    free: np.ndarray
    num_behind: int = 0


def limits_of(truncation: TruncationSpec, tokenizer_limit: int) -> Limits:
    """The spec's limits; `tokenizer_limit` where the spec has none for the prompt."""
    prompt: int | None = truncation.max_length or tokenizer_limit
    if prompt is not None and prompt >= _NO_LIMIT:
        prompt = None
    return Limits(
        prompt,
        _side(prompt, truncation.max_query_share, truncation.max_query_tokens),
        _side(prompt, truncation.max_document_share, truncation.max_document_tokens),
        truncation.suffix_counts,
        truncation.suffix_extends,
    )


def _side(prompt: int | None, share: float | None, num_tokens: int | None) -> int | None:
    """The smaller one of a share of the prompt's limit and a number, where they are set."""
    if share is None or prompt is None:
        return num_tokens
    own = max(int(prompt * share), 1)
    return own if num_tokens is None else min(own, num_tokens)


def tokens_to_keep(tokens: Tokens, limits: Limits) -> np.ndarray:
    """Choose the tokens that stay.

    First each side is brought to its own limit, then the prompt to its: the last free tokens of the
    document go first; of the query only when nothing of the document's text is left.
    Returns (num_tokens,) bool. Raises InputError when what must stay is longer than a limit.
    """
    keep = np.ones(len(tokens.free), dtype=bool)
    free_query, free_document = tokens.query & tokens.free, tokens.document & tokens.free
    for name, own, free, limit in (
        ("query", tokens.query, free_query, limits.query),
        ("document", tokens.document, free_document, limits.document),
    ):
        if limit is not None and _drop_last(keep, free, int(own.sum()) - limit) > 0:
            raise InputError(
                f"what cannot be cut of the {name} takes {(own & keep).sum():,} tokens, its limit "
                f"is {limit:,}. Give fewer or smaller media, or raise max_length where the limit "
                "is a share of it."
            )
    if limits.prompt is None:
        return keep
    excess = int(keep.sum()) - limits.prompt
    excess -= tokens.num_behind * ((not limits.suffix_counts) + limits.suffix_extends)
    excess = _drop_last(keep, free_document, excess)
    if _drop_last(keep, free_query, excess) > 0:
        raise InputError(
            f"media and the template take {keep.sum():,} tokens, max_length allows "
            f"{limits.prompt:,}. Raise max_length; where there are media, give fewer or smaller "
            "ones."
        )
    return keep


def _drop_last(keep: np.ndarray, free: np.ndarray, excess: int) -> int:
    """Drop up to `excess` of the last free tokens still kept; how many too many are left."""
    if excess <= 0:
        return 0
    candidates = np.flatnonzero(free & keep)
    dropped = candidates[max(len(candidates) - excess, 0) :]
    keep[dropped] = False
    return excess - len(dropped)
