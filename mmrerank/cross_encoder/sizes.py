"""Sizes as users write them."""

from __future__ import annotations

import re

from mmrerank.errors import WrongArgument, shorten

__all__ = ["num_bytes_of"]

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
