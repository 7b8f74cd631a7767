"""Keys of dicts: an unknown one is refused, with the nearest known one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from mmrerank.errors import InputError, shorten

__all__ = ["near_name", "refuse_unknown_keys"]

_SIBLING_HINTS = {
    "sampling_rate": ' The sampling rate: {"audio": {"array": samples, "sampling_rate": 16000}}.',
    "video_metadata": ' Metadata: {"video": {"array": frames, "video_metadata": {"fps": 2}}}.',
}


def refuse_unknown_keys(value: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raises InputError for the first key of `value` that is not known."""
    known = tuple(known)
    for key in value:
        if key not in known:
            raise InputError(
                f"{where}: unknown key {shorten(key)}{near_name(str(key), known)}; known keys: "
                f"{', '.join(known)}.{_SIBLING_HINTS.get(str(key), '')}"
            )


def near_name(name: str, known: Iterable[str]) -> str:
    """ " (did you mean 'x'?)", or nothing where no known name is near."""
    near = get_close_matches(name, tuple(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
