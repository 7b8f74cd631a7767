"""Which kind of file some first bytes are of."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["HEAD_BYTES", "MediaKind", "has_poor_timestamps", "sniff_bytes"]

MediaKind: TypeAlias = Literal["image", "audio", "video", "pdf"]

HEAD_BYTES = 256  # enough for every rule here

_PREFIXES: tuple[tuple[bytes, MediaKind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"II*\x00", "image"),
    (b"MM\x00*", "image"),
    (b"fLaC", "audio"),
    (b"ID3", "audio"),
    (b"#!AMR", "audio"),
    (b"\x1aE\xdf\xa3", "video"),  # Matroska and WebM
    (b"FLV\x01", "video"),
    (b"0&\xb2u\x8ef\xcf\x11", "video"),  # ASF: wmv
    (b"%PDF-", "pdf"),
)
_RIFF_KINDS: dict[bytes, MediaKind] = {b"WEBP": "image", b"WAVE": "audio", b"AVI ": "video"}
_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A "})
_IMAGE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"})


def sniff_bytes(head: bytes) -> MediaKind | None:
    """Kind of a file by its first bytes (HEAD_BYTES of them), None where they tell nothing."""
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF_KINDS.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _kind_of_brand(head[8:12])
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip") and head[:1] == b"\x00":
        return "video"  # QuickTime without ftyp
    if head[:4] == b"OggS":
        return "video" if b"theora" in head[:128] else "audio"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio"
    if _is_mpeg_stream(head):
        return "video"
    if _is_bmp(head):
        return "image"
    return "audio" if _is_mpeg_audio(head) else None


def _kind_of_brand(brand: bytes) -> MediaKind:
    if brand in _IMAGE_BRANDS:
        return "image"
    return "audio" if brand in _AUDIO_BRANDS else "video"


def has_poor_timestamps(head: bytes) -> bool:
    """Whether a clip's container lacks an index or some timestamps: MPEG streams and AVI."""
    return _is_mpeg_stream(head) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def _is_mpeg_stream(head: bytes) -> bool:
    """Program stream, or transport stream with its packets of 188 bytes."""
    return head[:4] == b"\x00\x00\x01\xba" or (head[:2] == b"G@" and head[188:189] == b"G")


def _is_bmp(head: bytes) -> bool:
    # Two letters alone would claim every text that starts with "BM"; the header sizes are few.
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and head[14:18] in _BMP_HEADER_SIZES


_BMP_HEADER_SIZES = frozenset(
    size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)
)


def _is_mpeg_audio(head: bytes) -> bool:
    """MP3 or ADTS AAC frame: eleven set bits, then no reserved value in the fields that follow."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    layer = head[1] & 0x06
    if layer == 0:  # ADTS: twelve set bits, layer always 0
        return head[1] & 0xF6 == 0xF0 and head[2] & 0x3C != 0x3C
    is_version_reserved = head[1] & 0x18 == 0x08
    return not is_version_reserved and head[2] & 0xF0 != 0xF0 and head[2] & 0x0C != 0x0C
