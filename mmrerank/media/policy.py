"""What may be loaded, and how much of it. Each reader and decoder of this package asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from mmrerank.errors import InputError, shorten
from mmrerank.inputs.sniff import FORMATS

__all__ = ["MediaPolicy"]

_ENVIRONMENT_PREFIX = "MMRERANK_MEDIA_"
_MEGABYTE = 1_000_000
_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_LISTS = ("schemes", "hosts", "directories", "formats")
_POSITIVE = (
    *("max_bytes", "timeout_s", "max_pixels", "max_frames", "max_media_s", "max_pages"),
    *("max_decoded_bytes", "max_cache_bytes"),
)
_SECONDS = ("timeout_s", "max_media_s")
_NOT_NEGATIVE = ("max_redirects", "max_retries")


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """Which sources are allowed and the limits that each must keep. Checked at birth.

    schemes:           of URLs; "file" also needs allow_local_files; hf, s3, gs and az are read
                       through fsspec where it is installed.
    hosts:             that URLs may name: "example.org" itself, "*.example.org" all below it;
                       empty = any. It holds at each redirect.
    allow_private:     whether URLs may lead to private, loopback or link-local addresses.
    directories:       that local files must lie in, links followed; empty = anywhere.
    formats:           by the first bytes of a file, whatever it is called; see inputs.sniff.
    max_bytes:         of one source, after decompression by the transport.
    timeout_s:         for one URL in total: redirects, retries and the whole answer included.
    max_retries:       after a connection error or an answer of 429 or 5xx.
    max_pixels:        of one picture or frame, checked before it is decoded.
    max_frames:        of one clip that are decoded for the model.
    max_media_s:       duration of one sound or clip.
    max_pages:         of one PDF.
    max_decoded_bytes: of one picture, sound or clip in memory.
    cache_dir:         a folder that keeps what URLs gave, as long as their servers allow;
                       None = nothing is kept on disk. max_cache_bytes: of that folder.
    """

    schemes: tuple[str, ...] = ("https", "http", "data", "file", "hf", "s3", "gs", "az")
    hosts: tuple[str, ...] = ()
    allow_private: bool = False
    allow_local_files: bool = True
    directories: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS
    max_bytes: int = 512 * _MEGABYTE
    timeout_s: float = 60.0
    max_redirects: int = 5
    max_retries: int = 2
    max_pixels: int = 40_000_000  # decoding takes 7 bytes a pixel for a moment: 280 MB
    max_frames: int = 4_096
    max_media_s: float = 4 * 3_600.0
    max_pages: int = 5_000
    max_decoded_bytes: int = 2_000 * _MEGABYTE
    cache_dir: str | None = None
    max_cache_bytes: int = 1_000 * _MEGABYTE

    def __post_init__(self) -> None:
        for name in _LISTS:
            object.__setattr__(self, name, _listed(name, getattr(self, name)))
        for name in (*_POSITIVE, *_NOT_NEGATIVE):
            value = getattr(self, name)
            is_whole = isinstance(value, int) or name in _SECONDS
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_whole:
                kind = "number" if name in _SECONDS else "whole number"
                raise InputError(f"MediaPolicy({name}={shorten(value)}): must be a {kind}.")
            if name in _POSITIVE and not value > 0:
                raise InputError(f"MediaPolicy({name}={value}): must be above 0.")
            if name in _NOT_NEGATIVE and not value >= 0:
                raise InputError(f"MediaPolicy({name}={value}): must be 0 or more.")
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise InputError(
                f"MediaPolicy(formats=...): {unknown[0]!r} is no known format; there are "
                f"{', '.join(FORMATS)}."
            )

    @classmethod
    def local(cls) -> MediaPolicy:
        """The library's default: local files and public URLs."""
        return cls()

    @classmethod
    def public(cls) -> MediaPolicy:
        """Public URLs, data URIs and what the caller holds in memory; no local files."""
        return cls(schemes=("https", "http", "data"), allow_local_files=False)

    @classmethod
    def server(cls) -> MediaPolicy:
        """For strangers' requests: as `public`, with limits tight enough for many at a time."""
        return replace(
            cls.public(),
            max_bytes=64 * _MEGABYTE,
            timeout_s=20.0,
            max_redirects=3,
            max_retries=1,
            max_pixels=25_000_000,
            max_frames=768,
            max_media_s=3_600.0,
            max_pages=500,
            max_decoded_bytes=250 * _MEGABYTE,
        )

    @classmethod
    def from_environment(
        cls, base: MediaPolicy | None = None, environment: Mapping[str, str] | None = None
    ) -> MediaPolicy:
        """`base` (`local` where None) with the fields that variables MMRERANK_MEDIA_<FIELD> set.

        E.g. MMRERANK_MEDIA_ALLOW_PRIVATE=1 or MMRERANK_MEDIA_SCHEMES=https,data.
        Raises InputError for a value that cannot be read.
        """
        policy = base or cls.local()
        given = os.environ if environment is None else environment
        changes = {
            field.name: cls.read_field(field.name, given[name], shown=name)
            for field in fields(cls)
            if (name := _ENVIRONMENT_PREFIX + field.name.upper()) in given
        }
        return replace(policy, **changes)

    @classmethod
    def read_field(cls, name: str, text: str, *, shown: str) -> Any:
        """The value of a field from text: "1" or "0", a number, a comma-separated list.

        shown: how the error names the text. Raises InputError.
        """
        default: Any = next(field.default for field in fields(cls) if field.name == name)
        try:
            if isinstance(default, bool):
                return _WORDS[text.strip().lower()]
            if isinstance(default, tuple):
                return tuple(item.strip() for item in text.split(",") if item.strip())
            if default is None:
                return text or None
            return type(default)(text.replace("_", ""))
        except (KeyError, ValueError):
            kind = "1 or 0" if isinstance(default, bool) else f"a number like {default}"
            raise InputError(f"{shown}={shorten(text)}: expected {kind}.") from None


def _listed(name: str, value: Any) -> tuple[str, ...]:
    """A field that lists words; a bare string would fall apart into letters."""
    if isinstance(value, str) or not all(isinstance(item, (str, os.PathLike)) for item in value):
        raise InputError(f"MediaPolicy({name}={shorten(value)}): give a list of strings.")
    words = tuple(os.fspath(item) for item in value)
    return words if name == "directories" else tuple(word.lower() for word in words)
