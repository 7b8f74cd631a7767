"""Every error that mmrerank raises, in one tree.

MMRerankError
├── InputError (ValueError)            what the caller handed over cannot be read as a query or
document
│   ├── AmbiguousInput                 a string or object that could mean two things; names the part
to wrap it in
│   ├── UnsupportedInput (TypeError)   an object of a type that no part takes
│   └── UnsupportedModality            this model takes no such part
├── MediaError (ValueError)            a picture, sound, clip or page that cannot be had
│   ├── MediaNotFound (FileNotFoundError)
│   ├── MediaRefused (PermissionError) the policy does not allow it
│   ├── MediaTooLarge                  a limit of the policy is passed
│   └── MediaUnreadable                the bytes are not what a decoder can read
├── SpecError (ValueError)             a processor folder or one of its fields is wrong
│   └── AmbiguousProcessor             two folders claim the same checkpoint
├── CheckpointError (ValueError)       a model folder is missing something or is no reranker
├── EngineError (RuntimeError)         the model could not be run
│   └── Stopped                        `should_stop` said so
└── MissingExtra (ImportError)         an optional dependency is needed

Each also derives from the builtin that users of sentence-transformers catch, given in brackets.
"""

from __future__ import annotations

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
    "shorten",
]


class MMRerankError(Exception):
    """Base of every error of this package."""


class InputError(MMRerankError, ValueError):
    """The caller's object cannot be read as a query, document or pair."""


class AmbiguousInput(InputError):
    """The caller's object could mean two things; the message names the part to wrap it in."""


class UnsupportedInput(InputError, TypeError):
    """No part takes an object of this type."""


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
        head = (
            value
            if len(value) <= max_chars
            else value[: max_chars * 2 // 3] + "…" + value[-max_chars // 4 :]
        )
        return repr(head)
    text = (
        repr(value)
        if not isinstance(value, (bytes, bytearray, memoryview))
        else f"{len(value):,} bytes"
    )
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
