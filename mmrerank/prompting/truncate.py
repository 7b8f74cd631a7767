"""What is cut when a prompt is too long: text of the document, from its end; media and the frame
stay whole.
"""

from __future__ import annotations

import numpy as np

from mmrerank.errors import InputError

__all__ = ["tokens_to_keep"]


def tokens_to_keep(
    offsets: np.ndarray,
    is_protected: np.ndarray,
    document: tuple[int, int],
    query: tuple[int, int],
    max_length: int,
) -> np.ndarray:
    """Choose the tokens that stay.

    offsets: (num_tokens, 2) characters that each token covers. is_protected: (num_tokens,) bool,
    special
    and media tokens. document, query: the characters [start, end) of the two sides in the prompt.
    Returns (num_tokens,) bool with at most `max_length` True: the last text tokens of the document
    go
    first; of the query only when nothing of the document's text is left.
    Raises InputError when media and the template alone are longer than `max_length`.
    """
    keep = np.ones(len(offsets), dtype=bool)
    excess = len(offsets) - max_length
    for start, end in (document, query):
        if excess <= 0:
            break
        inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > offsets[:, 0])
        candidates = np.flatnonzero(inside & ~is_protected)
        dropped = candidates[max(len(candidates) - excess, 0) :]
        keep[dropped] = False
        excess -= len(dropped)
    if excess > 0:
        raise InputError(
            f"media and the template take {len(offsets) - (~keep).sum():,} tokens, max_length "
            "allows "
            f"{max_length:,}. Raise max_length; where there are media, give fewer or smaller ones."
        )
    return keep
