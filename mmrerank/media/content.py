"""Checks of what was read, whatever it was read from: how many bytes, and of which format."""

from __future__ import annotations

import re
from typing import Protocol

from mmrerank.errors import MediaRefused, MediaTooLarge, MediaUnreadable
from mmrerank.inputs.sniff import FORMATS, HEAD_BYTES, sniff_format
from mmrerank.media.mpeg_audio import has_mpeg_audio
from mmrerank.media.policy import MediaPolicy

__all__ = ["Slices", "check_format", "too_many_bytes"]


class Slices(Protocol):
    """Bytes, or anything that gives pieces of a file as bytes do."""

    def __getitem__(self, piece: slice, /) -> bytes | bytearray | memoryview: ...


# FFmpeg looks at most this far for what a file is; a sound may begin behind some padding.
_SEARCHED_BYTES = 1_000_000
_PADDING_BYTES = 65_536
_MAX_TAGS = 8

_SVG = "an SVG drawing, which is a program that draws"
_WEB_PAGE = "a web page"
_POSTSCRIPT = "PostScript, which is a program that draws"
_PLAYLIST = "a playlist, which names other files"
_SESSION = "a session description, which names other hosts"
_PROGRAM = "an executable"
_ARCHIVE = "a packed archive"
# What is never loaded, by its first bytes after white space, in lower case.
_NEVER_LOADED: tuple[tuple[bytes, str], ...] = (
    (b"<svg", _SVG),
    (b"<!doctype html", _WEB_PAGE),
    *((tag, _WEB_PAGE) for tag in (b"<html", b"<head", b"<body", b"<script", b"<meta")),
    (b"%!ps", _POSTSCRIPT),
    (b"\xc5\xd0\xd3\xc6", _POSTSCRIPT),
    (b"#extm3u", _PLAYLIST),
    (b"ffconcat version", _PLAYLIST),
    (b"[playlist]", _PLAYLIST),
    (b"[reference]", _PLAYLIST),
    (b"<asx", _PLAYLIST),
    (b"<smil", _PLAYLIST),
    (b"<mpd", _PLAYLIST),
    (b"rtsptext", _PLAYLIST),
    (b"v=0", _SESSION),
    (b"\x7felf", _PROGRAM),
    (b"mz", _PROGRAM),
    (b"#!/", "a script"),
    (b"\x00asm", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    *((magic, _PROGRAM) for magic in (b"\xfe\xed\xfa", b"\xce\xfa\xed\xfe")),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"pk\x03\x04", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
)
_XML_ROOT = re.compile(rb"<([a-z][\w:.-]*)")
_NAME_OF_ROOT = {
    b"svg": _SVG,
    b"html": _WEB_PAGE,
    b"mpd": _PLAYLIST,
}


def check_format(data: Slices, policy: MediaPolicy) -> str:
    """The format of a file by its bytes, one of inputs.sniff.FORMATS.

    data: the whole file; a little of its beginning is looked at.
    Raises MediaRefused for a format that the policy does not allow and for files that are known
    but never loaded: programs, playlists (a decoder would open what they name), archives.
    Raises MediaUnreadable for a web page and for anything that is not known.
    """
    starts = {0, _end_of_tags(data)}
    for start in starts:
        if (trouble := _never_loaded(bytes(data[start : start + _SEARCHED_BYTES]))) is not None:
            if trouble == _WEB_PAGE:
                raise MediaUnreadable(f"it is {_WEB_PAGE}: its bytes are {_NOTHING_KNOWN}")
            raise MediaRefused(f"it is {trouble}; such files are never loaded.")
    name = _format_at(data, max(starts))
    if name is None:
        raise MediaUnreadable(f"its bytes are {_NOTHING_KNOWN}")
    if name not in policy.formats:
        raise MediaRefused(
            f"its bytes are {name}; the policy's formats are {', '.join(policy.formats)}. Allow it "
            "with MediaPolicy(formats=[...]) or MMRERANK_MEDIA_FORMATS."
        )
    return name


_NOTHING_KNOWN = (
    "no picture of a known format, no sound or PDF, and no clip that can be decoded. "
    f"Known are {', '.join(FORMATS)}."
)


def too_many_bytes(num_bytes: int, policy: MediaPolicy, *, or_more: bool = False) -> MediaTooLarge:
    """The error for a source above the policy's bytes."""
    return MediaTooLarge(
        f"{num_bytes:,} bytes{' or more' if or_more else ''}, the policy allows "
        f"{policy.max_bytes:,}. Pass MediaPolicy(max_bytes=...) or MMRERANK_MEDIA_MAX_BYTES."
    )


def _never_loaded(data: bytes) -> str | None:
    """What some bytes are that are never loaded, None for all others."""
    text = data[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for prefix, name in _NEVER_LOADED:
        # "MZ" alone could start anything: a program has binary fields behind it.
        if text.startswith(prefix) and (prefix != b"mz" or b"\x00" in data[:64]):
            return name
    if text.startswith((b"<?xml", b"<!--", b"<!doctype")):
        root = _XML_ROOT.search(data[: 16 * HEAD_BYTES].lower())
        return _NAME_OF_ROOT.get(root.group(1) if root else b"", "an XML document")
    # FFmpeg takes any text with such a line for a session description and would call its hosts.
    return _SESSION if b"c=IN IP" in data.partition(b"\x00")[0] else None


def _format_at(data: Slices, start: int) -> str | None:
    head = bytes(data[start : start + HEAD_BYTES])
    if start and not head:
        return None
    searched = bytes(data[start : start + _PADDING_BYTES])
    return sniff_format(head) or ("mp3" if has_mpeg_audio(searched) else None)


def _end_of_tags(data: Slices) -> int:
    """Where a file begins behind its ID3 tags: FFmpeg skips them before it looks for a format."""
    start = 0
    for _ in range(_MAX_TAGS):
        tag = bytes(data[start : start + 10])
        if len(tag) < 10 or tag[:3] != b"ID3" or max(tag[6:10]) > 0x7F:
            break
        size = (tag[6] << 21) | (tag[7] << 14) | (tag[8] << 7) | tag[9]
        start += 10 + size + (10 if tag[5] & 0x10 else 0)
    return start
