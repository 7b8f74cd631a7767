"""Every error that mmrerank raises, in one tree.

MMRerankError
├── InputError (ValueError)            what the caller handed over cannot be read as a query or
document
│   ├── AmbiguousInput                 a string or object that could mean two things; names the part
to wrap it in
│   ├── UnsupportedInput (TypeError)   an object of a type that no part takes
│   ├── WrongArgument (TypeError)      an argument of a call has the wrong type, or an unknown name
│   └── UnsupportedModality            this model takes no such part
├── MediaError (ValueError)            a picture, sound, clip or page that cannot be had
│   ├── MediaNotFound (FileNotFoundError)
│   ├── MediaRefused (PermissionError) the policy does not allow it
│   ├── MediaTooLarge                  a limit of the policy is passed
│   └── MediaUnreadable                the bytes are not what a decoder can read
├── SpecError (ValueError)             a processor folder or one of its fields is wrong
│   └── AmbiguousProcessor             two folders claim the same checkpoint
├── CheckpointError (ValueError)       a model folder is missing something or is no reranker
│   └── UntrustedCode                  it runs Python files of its own; the caller has to say so
├── EngineError (RuntimeError)         the model could not be run
│   └── Stopped                        `should_stop` said so
└── MissingExtra (ImportError)         an optional dependency is needed

Each also derives from the builtin that users of sentence-transformers catch, given in brackets.
No message is longer than 2,000 characters, whatever is put into it.
"""

from __future__ import annotations

import reprlib

__all__ = [
    "AmbiguousInput",
    "AmbiguousProcessor",
    "CheckpointError",
    "EngineError",
    "InputError",
    "MMRerankError",
    "MediaError",
    "MediaNotFound",
    "MediaRefused",
    "MediaTooLarge",
    "MediaUnreadable",
    "MissingExtra",
    "SpecError",
    "Stopped",
    "UnsupportedInput",
    "UnsupportedModality",
    "UntrustedCode",
    "WrongArgument",
    "shorten",
]

# A little less than 2,000: callers put a name, or "error:", before a message.
_MAX_MESSAGE_CHARS = 1_900


class MMRerankError(Exception):
    """Base of every error of this package. Longer messages are cut in the middle."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        cut = (_cut(arg, _MAX_MESSAGE_CHARS) if isinstance(arg, str) else arg for arg in args)
        super().__init__(*cut, **kwargs)

    def __str__(self) -> str:
        return _cut(super().__str__(), _MAX_MESSAGE_CHARS)


class InputError(MMRerankError, ValueError):
    """The caller's object cannot be read as a query, document or pair."""


class AmbiguousInput(InputError):
    """The caller's object could mean two things; the message names the part to wrap it in."""


class UnsupportedInput(InputError, TypeError):
    """No part takes an object of this type."""


class WrongArgument(InputError, TypeError):
    """An argument of a call is of the wrong type, or there is none of that name."""


class UnsupportedModality(InputError):
    """The model at hand takes no such part."""


class MediaError(MMRerankError, ValueError):
    """A picture, sound, clip or page could not be had."""


class MediaNotFound(MediaError, FileNotFoundError):
    """There is no such file, or the server answers that there is none."""


class MediaRefused(MediaError, PermissionError):
    """The media policy does not allow this source."""


class MediaTooLarge(MediaError):
    """A limit of the media policy is passed."""


class MediaUnreadable(MediaError):
    """The bytes are not what a decoder can read."""


class SpecError(MMRerankError, ValueError):
    """A processor folder, or a field of it, is wrong."""


class AmbiguousProcessor(SpecError):
    """Two processor folders claim the same checkpoint with equal right."""


class CheckpointError(MMRerankError, ValueError):
    """A checkpoint lacks something, or is not a reranker."""


class UntrustedCode(CheckpointError):
    """The model is in Python files of the checkpoint, which the caller has not said to run."""


class EngineError(MMRerankError, RuntimeError):
    """The model could not be run."""


class Stopped(EngineError):
    """The caller's `should_stop` answered True; pairs already scored were given out."""


class MissingExtra(MMRerankError, ImportError):
    """An optional dependency is needed; the message names the extra."""


def shorten(value: object, *, max_chars: int = 80) -> str:
    """Text from outside, quoted and cut in the middle, fit for an error message."""
    if isinstance(value, str):
        # Cut before quoting: repr of a megabyte of text would itself be slow.
        return _cut(repr(_cut(value, max_chars)), 2 * max_chars)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value):,} bytes"
    try:
        return _cut(_brief(max_chars).repr(value), max_chars)
    except Exception as error:  # somebody else's __repr__ must not hide what is wrong
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def _brief(max_chars: int) -> reprlib.Repr:
    """repr that visits the first items only: that of a million pairs would itself be slow."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = max_chars
    brief.maxlist = brief.maxtuple = brief.maxdict = brief.maxset = 20
    return brief


def _cut(text: str, max_chars: int) -> str:
    """At most `max_chars` characters: the beginning, "…" and the end."""
    if len(text) <= max_chars:
        return text
    num_last = max_chars // 4
    return f"{text[: max_chars - num_last - 1]}…{text[-num_last:]}"
