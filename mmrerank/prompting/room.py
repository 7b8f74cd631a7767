"""What a window of a list has room for, and how its texts are cut to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmrerank.errors import InputError
from mmrerank.prompting.shares import fair_lengths
from mmrerank.prompting.truncate import limits_of
from mmrerank.specs import ResolvedSpec

__all__ = ["WindowRoom", "cut_texts", "room_of"]


@dataclass(frozen=True, slots=True)
class WindowRoom:
    """Most tokens of a window of texts, of one with media, and of the query; None: no limit.

    picture: most tokens of one picture, whatever stands beside it in a window; or the scores of
    others would hang on it.
    """

    texts: int | None
    with_media: int | None
    query: int
    picture: int | None


def room_of(spec: ResolvedSpec, tokenizer_limit: int, num_frame_tokens: int) -> WindowRoom:
    """num_frame_tokens: what the template writes around a full window.

    Raises InputError when max_length leaves no room for the query and one token of each document.
    """
    assert spec.listwise is not None, "asked of listwise models"
    limits, size = limits_of(spec.truncation, tokenizer_limit), spec.listwise.max_documents
    with_media = limits.prompt if spec.truncation.bounds_media else tokenizer_limit
    bounds = [limit - num_frame_tokens - size for limit in (limits.prompt, with_media) if limit]
    query = min([*bounds, *([] if limits.query is None else [limits.query])], default=10**9)
    if query < 1:
        raise InputError(
            f"max_length={limits.prompt}: the template of {spec.name} alone takes "
            f"{num_frame_tokens} tokens for a window, which leaves no room for query and "
            "documents. Raise max_length."
        )
    picture = None if with_media is None else (with_media - num_frame_tokens - query) // size
    return WindowRoom(limits.prompt, with_media, query, picture)


def cut_texts(
    ids: np.ndarray, offsets: np.ndarray, pieces: Sequence[str], limit: int
) -> tuple[np.ndarray, list[int]]:
    """The ids that stay within `limit`, and how many are cut of each text, from its end.

    offsets: (num_tokens, 2) characters of each token. pieces: the prompt's, every other one a text
    of the user's, beginning with the second.
    """
    start, end = offsets.T
    ends = np.cumsum([len(piece) for piece in pieces])
    owned = [
        np.flatnonzero((start >= first) & (end <= behind) & (end > start))
        for first, behind in zip(ends[0::2], ends[1::2], strict=False)
    ]
    lengths = [len(own) for own in owned]
    kept = fair_lengths(lengths, sum(lengths) - (len(ids) - limit))
    stays = np.ones(len(ids), dtype=bool)
    for own, length in zip(owned, kept, strict=True):
        stays[own[length:]] = False
    return ids[stays], [full - left for full, left in zip(lengths, kept, strict=True)]
