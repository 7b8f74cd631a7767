"""Stages 4 to 9: encoded prompts, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmrerank.types.media import MediaKey

__all__ = ["EncodedGroup", "MediaSpan", "Score", "Usage"]


@dataclass(frozen=True, slots=True)
class MediaSpan:
    """Tokens [start, start + length) of a prompt stand for the medium named by `key`."""

    start: int
    length: int
    key: MediaKey


@dataclass(frozen=True, slots=True, eq=False)
class EncodedGroup:
    """One prompt, ready for the model. A pair scorer has one document in it, a listwise model
    several.

    token_ids: (num_tokens,) int64. token_type_ids: the same shape, or None where the tokenizer
    makes none.
    media:     spans in the order of the prompt.
    score_at:  for each document the position that its score is read from.
    indices:   for each document the index of its pair in the call; as long as score_at.
    query_at:  the position that a listwise model reads the query from; None for pair scorers.
    decoder_at: of an encoder-decoder that reads the document in its encoder alone: the position of
    the first token that its decoder reads; None for all others.
    """

    token_ids: np.ndarray
    score_at: tuple[int, ...]
    indices: tuple[int, ...]
    media: tuple[MediaSpan, ...] = ()
    token_type_ids: np.ndarray | None = None
    num_truncated: int = 0  # tokens of the document that were cut off
    query_at: int | None = None
    decoder_at: int | None = None

    @property
    def read_at(self) -> tuple[int, ...]:
        """Positions whose states a head wants: of the documents, then of the query if any."""
        return self.score_at if self.query_at is None else (*self.score_at, self.query_at)

    @property
    def num_tokens(self) -> int:
        """Length of the prompt in tokens."""
        return int(self.token_ids.shape[0])

    def parts(self) -> tuple[EncodedGroup, EncodedGroup]:
        """What the encoder reads and what the decoder reads, of a prompt with `decoder_at`."""
        assert self.decoder_at is not None, "asked of prompts in two parts alone"
        ids = (self.token_ids[: self.decoder_at], self.token_ids[self.decoder_at :])
        encoder, decoder = (EncodedGroup(own, (len(own) - 1,), self.indices) for own in ids)
        return encoder, decoder


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. num_truncated counts documents, the others tokens and pairs."""

    num_pairs: int = 0
    num_tokens: int = 0
    num_truncated: int = 0
    num_errors: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.num_pairs + other.num_pairs,
            self.num_tokens + other.num_tokens,
            self.num_truncated + other.num_truncated,
            self.num_errors + other.num_errors,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """The result for one pair.

    logits: (num_labels,) float32 before the activation. value: after it, a float or (num_labels,)
    float32. num_truncated: tokens of the document that were cut off; cut_s: seconds of its sound.
    """

    index: int
    logits: np.ndarray
    value: np.ndarray
    num_tokens: int
    num_truncated: int = 0
    cut_s: float = 0.0

    @property
    def is_cut(self) -> bool:
        """Whether the model has not read or heard all of it."""
        return self.num_truncated > 0 or self.cut_s > 0
