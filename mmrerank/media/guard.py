"""Turns what decoder libraries raise into MediaError, where it may be anything."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from mmrerank.errors import (
    MediaNotFound,
    MediaRefused,
    MediaTooLarge,
    MediaUnreadable,
    MMRerankError,
)

__all__ = ["decoder_errors", "first_working"]

logger = logging.getLogger(__name__)
T = TypeVar("T")


@contextmanager
def decoder_errors(trouble: str) -> Iterator[None]:
    """What a decoder raises within it becomes a MediaUnreadable that starts with `trouble`.

    pillow raises OSError, SyntaxError, struct.error, KeyError, …; FFmpeg's errors come as
    RuntimeError, ValueError and OSError: a list of them would never be whole. Libraries in Rust
    raise their panics past Exception; only what asks the process to stop goes through.
    """
    try:
        yield
    except (MMRerankError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except MemoryError as error:
        raise MediaTooLarge(f"{trouble}: it does not fit into memory.") from error
    except BaseException as error:
        raise MediaUnreadable(f"{trouble}: {_said(error)}.") from error


def first_working(readers: Sequence[Callable[[], T]], trouble: str) -> T:
    """What the first reader that can decode gives; where none can, the error of the last.

    torchcodec and PyAV refuse different files, so the second is asked before a file is refused.
    """
    for read in readers[:-1]:
        try:
            return read()
        except (MediaNotFound, MediaRefused, MediaTooLarge):  # the second would only say it again
            raise
        except Exception:
            logger.debug("%s by the first decoder; the next one is tried", trouble, exc_info=True)
    with decoder_errors(trouble):
        return readers[-1]()


def _said(error: BaseException) -> str:
    """The library's own words, without the place in its sources and the pages that some add."""
    lines = str(error).strip().splitlines()
    # Without a letter it is a key or number that somebody wrapped into another exception.
    is_slip = isinstance(error, _SLIPS) or isinstance(error.__cause__, _SLIPS)
    if not lines or is_slip or not re.search("[a-z]", lines[0]):
        return f"it is damaged ({type(error).__name__})"
    if re.search(r"best (audio|video) stream is unknown", lines[0]):
        return "the file has no such stream"
    words = re.sub(r"^.*\.cpp:\d+, |^\[Errno -?\d+\] ", "", lines[0])
    words = re.sub(r": '[^']*'( returned -?\d+)?$", "", words)  # a function of FFmpeg
    if words == "Invalid argument":
        return "it is damaged, or of a coding that cannot be read"
    return words[:200].rstrip(". ")


# A decoder that trips over a damaged file: what Python says of it tells nobody anything.
_SLIPS: tuple[type[BaseException], ...] = (
    *(LookupError, TypeError, AttributeError, NameError, ArithmeticError, AssertionError),
    *(struct.error, RecursionError),
)
