"""What may be loaded, and how much of it. Each reader and decoder of this package asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from mmrerank.errors import InputError, shorten

__all__ = ["MediaPolicy"]

_ENVIRONMENT_PREFIX = "MMRERANK_MEDIA_"
_MEGABYTE = 1_000_000
_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """Which sources are allowed and the limits that each must keep. Checked at birth.

    schemes:           of URLs; "file" also needs allow_local_files.
    allow_private:     whether URLs may lead to private, loopback or link-local addresses.
    max_bytes:         of one source, after decompression by the transport.
    timeout_s:         for one URL in total, redirects included.
    max_pixels:        of one picture or frame, checked before it is decoded.
    max_frames:        of one clip that are decoded for the model.
    max_media_s:       duration of one sound or clip.
    """

    schemes: tuple[str, ...] = ("https", "http", "data", "file")
    allow_local_files: bool = True
    allow_private: bool = False
    max_bytes: int = 512 * _MEGABYTE
    timeout_s: float = 60.0
    max_redirects: int = 5
    max_pixels: int = 89_478_485  # Source: Pillow's own MAX_IMAGE_PIXELS, above which it warns
    max_frames: int = 4_096
    max_media_s: float = 4 * 3_600.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "schemes", tuple(scheme.lower() for scheme in self.schemes))
        for name in ("max_bytes", "timeout_s", "max_pixels", "max_frames", "max_media_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"MediaPolicy({name}={getattr(self, name)}): must be above 0.")
        if self.max_redirects < 0:
            raise InputError(f"MediaPolicy(max_redirects={self.max_redirects}): must be 0 or more.")

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
            max_pixels=50_000_000,
            max_frames=768,
            max_media_s=3_600.0,
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
            field.name: _value_of(getattr(policy, field.name), given[name], name)
            for field in fields(cls)
            if (name := _ENVIRONMENT_PREFIX + field.name.upper()) in given
        }
        return replace(policy, **changes)


def _value_of(default: Any, text: str, name: str) -> Any:
    """The text of a variable as the type that the field has."""
    try:
        if isinstance(default, bool):
            return _WORDS[text.strip().lower()]
        if isinstance(default, tuple):
            return tuple(item.strip() for item in text.split(",") if item.strip())
        return type(default)(text.replace("_", ""))
    except (KeyError, ValueError):
        kind = "1 or 0" if isinstance(default, bool) else f"a number like {default}"
        raise InputError(f"{name}={shorten(text)}: expected {kind}.") from None
