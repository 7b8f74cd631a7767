"""Which kind of medium a string stands for, by its letters alone; nothing is opened."""

from __future__ import annotations

import base64
import re
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

from mmrerank.errors import shorten
from mmrerank.inputs.sniff import MediaKind, sniff_bytes

__all__ = [
    "EXTENSIONS",
    "decode_base64",
    "decode_base64_medium",
    "decode_data_uri",
    "is_data_uri",
    "is_youtube_url",
    "kind_of_data_uri",
    "kind_of_mime",
    "modality_of_string",
    "scheme_of",
    "shown_url",
]

EXTENSIONS: dict[MediaKind, tuple[str, ...]] = {
    "image": (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp"),
    "audio": (".mp3", ".wav", ".ogg", ".oga", ".opus", ".flac", ".aac", ".m4a"),
    "video": (".mp4", ".avi", ".mov", ".wmv", ".flv", ".mkv", ".webm", ".m4v"),
    "pdf": (".pdf",),
}
_KIND_OF_EXTENSION: dict[str, MediaKind] = {
    extension: kind for kind, extensions in EXTENSIONS.items() for extension in extensions
}
_YOUTUBE_HOSTS = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_DATA_URI = re.compile(
    r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?P<params>(?:;[^,;\s]*)*),", re.IGNORECASE
)
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_]+={0,2}")
_MIN_BASE64_CHARS = 64

# Prose may end in "…/clip.mp4" too. Where there is a space, only what is as short as a path can be
# is a path.
_MAX_SPACED_PATH_CHARS = 260
_MAX_PATH_CHARS = 4_096


def modality_of_string(
    text: str, *, takes_media: bool = True
) -> Literal["text"] | MediaKind | None:
    """What a string stands for: text, or the source of a picture, sound, clip or PDF.

    None where it could be two things: an http(s) URL whose path has no known extension (text when
    `takes_media` is False), or a data URI of an unknown kind. Whether a file exists plays no part.
    """
    head = text[:_MIN_BASE64_CHARS]
    if is_data_uri(text):
        return kind_of_data_uri(text)
    if " " not in text and (scheme := scheme_of(head)):
        return _kind_of_url(text, scheme, takes_media)
    kind = _kind_of_path(text, takes_media)
    if kind is not None:
        return kind
    return _kind_of_base64(text) or "text"


def scheme_of(text: str) -> str | None:
    """The scheme of a URL in lower case, None where there is none."""
    match = _SCHEME.match(text)
    return match.group(1).lower() if match else None


def shown_url(url: str) -> str:
    """A URL as error messages show it: without query, fragment, name and password."""
    try:
        split = urlsplit(url)
        port = f":{split.port}" if split.port else ""
        return shorten(f"{split.scheme}://{split.hostname or ''}{port}{split.path}")
    except ValueError:
        return shorten(url.partition("?")[0])


def is_data_uri(text: str) -> bool:
    """Whether a string is a data URI with a media type or in base64 ("data:, …" stays prose)."""
    return _match_data_uri(text) is not None


def _match_data_uri(text: str) -> re.Match[str] | None:
    if text[:5].lower() != "data:":
        return None
    match = _DATA_URI.match(text)
    return match if match and (match.group("mime") or match.group("params")) else None


def is_youtube_url(text: str) -> bool:
    """Whether a string is a URL of a YouTube page."""
    if scheme_of(text) not in ("http", "https"):
        return False
    try:
        return urlsplit(text).hostname in _YOUTUBE_HOSTS
    except ValueError:
        return False


def _kind_of_url(text: str, scheme: str, takes_media: bool) -> Literal["text"] | MediaKind | None:
    if is_youtube_url(text):
        return "video"
    try:
        kind = _kind_by_extension(urlsplit(text).path)
    except ValueError:  # "https://[[invalid]]": no URL after all
        return "text"
    if kind is not None:
        return kind
    return None if scheme in ("http", "https") and takes_media else "text"


def _kind_of_path(text: str, takes_media: bool) -> MediaKind | None:
    if len(text) > _MAX_PATH_CHARS:
        return None
    kind = _kind_by_extension(text)
    if kind is None or "\n" in text or "\r" in text:
        return None
    if " " not in text:
        return kind
    # "see https://x/cat.jpg" is a sentence, and so is nearly all that a text-only model is given.
    is_spaced_path = takes_media and len(text) <= _MAX_SPACED_PATH_CHARS and "://" not in text
    return kind if is_spaced_path and ("/" in text or "\\" in text) else None


def _kind_by_extension(path: str) -> MediaKind | None:
    stem, dot, extension = path.rpartition(".")
    if not dot or not stem or stem[-1] in "/\\ ":  # ".mp4" alone names a format, not a file
        return None
    return _KIND_OF_EXTENSION.get("." + extension.lower())


def _kind_of_base64(text: str) -> MediaKind | None:
    if len(text) < _MIN_BASE64_CHARS or not _BASE64.fullmatch(text[:_MIN_BASE64_CHARS]):
        return None
    data = decode_base64_medium(text)
    return sniff_bytes(data) if data is not None else None


def decode_base64_medium(text: str) -> bytes | None:
    """The bytes of a picture, sound, clip or PDF in base64, None for any other string.

    Standard and URL-safe alphabets, with or without padding and line breaks.
    """
    if len(text) < _MIN_BASE64_CHARS:
        return None
    head = text[:_MIN_BASE64_CHARS]
    if not _BASE64.fullmatch(head) or sniff_bytes(_decode_base64(head)) is None:
        return None
    joined = "".join(text.split())
    return _decode_base64(joined) if _BASE64.fullmatch(joined) else None


def decode_base64(text: str) -> bytes:
    """Bytes of a base64 string: either alphabet, with or without padding and line breaks.

    Raises ValueError where it holds other characters.
    """
    joined = "".join(text.split())
    if joined and not _BASE64.fullmatch(joined):
        raise ValueError("no base64: it holds other characters")
    return _decode_base64(joined)


def _decode_base64(text: str) -> bytes:
    plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    if len(plain) % 4 == 1:  # no number of bytes has this length; the last character is a stray
        plain = plain[:-1]
    return base64.b64decode(plain + "=" * (-len(plain) % 4))


def kind_of_data_uri(text: str) -> Literal["text"] | MediaKind | None:
    """Kind by the media type, by the bytes where that says nothing; None for other types."""
    match = _match_data_uri(text)
    if match is None:
        return None
    mime = (match.group("mime") or "").lower()
    if mime in ("", "application/octet-stream", "binary/octet-stream"):
        try:
            return sniff_bytes(decode_data_uri(text))
        except ValueError:
            return None
    return kind_of_mime(mime)


def kind_of_mime(mime: str) -> Literal["text"] | MediaKind | None:
    """Kind of a media type such as "image/png"; None for types that no part takes."""
    if mime in ("application/pdf", "application/x-pdf"):
        return "pdf"
    if mime == "application/ogg":
        return "audio"
    family, _, subtype = mime.partition("/")
    if subtype.startswith("svg"):  # a program that draws, not a picture
        return None
    kinds: dict[str, Literal["text"] | MediaKind] = {
        "text": "text",
        "image": "image",
        "audio": "audio",
        "video": "video",
    }
    return kinds.get(family)


def decode_data_uri(text: str) -> bytes:
    """The bytes that a data URI carries.

    Raises ValueError where it is none, or its base64 is broken.
    """
    match = _match_data_uri(text)
    if match is None:
        raise ValueError("not a data URI")
    payload = text[match.end() :]
    if not match.group("params").lower().endswith(";base64"):
        return unquote_to_bytes(payload)
    joined = "".join(unquote_to_bytes(payload).decode("ascii", "replace").split())
    return decode_base64(joined)
