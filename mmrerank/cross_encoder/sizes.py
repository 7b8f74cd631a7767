"""Sizes as users write them."""

from __future__ import annotations

import re

from mmrerank.engine import TokenBudget
from mmrerank.errors import WrongArgument, shorten

__all__ = ["DEFAULT_BATCH_SIZE", "budget_of", "num_bytes_of"]

_UNITS = {
    "": 1,
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", start=1)},
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", start=1)},
}


def num_bytes_of(value: int | str, name: str) -> int:
    """Bytes of a number, or of a text such as "2GiB" or "500 MB". Raises WrongArgument.

    >>> num_bytes_of("1.5KiB", "media_cache")
    1536
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = (
        re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", value) if isinstance(value, str) else None
    )
    if match is None or match[2].upper() not in _UNITS:
        raise WrongArgument(
            f'{name}={shorten(value)}: give a number of bytes, or a text such as "2GiB" or "500MB".'
        )
    return int(float(match[1]) * _UNITS[match[2].upper()])


class _NotGiven(int):
    """The peer's default, recognisable as a default: calls that name no batch size are bounded by
    tokens alone.
    """


DEFAULT_BATCH_SIZE: int = _NotGiven(32)


def budget_of(batch_size: int) -> TokenBudget:
    """The budget of a call."""
    return TokenBudget(max_pairs=None if isinstance(batch_size, _NotGiven) else batch_size)
