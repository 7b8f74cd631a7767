"""Which kind of file, and which format, some first bytes are of."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = [
    "FORMATS",
    "HEAD_BYTES",
    "MediaKind",
    "has_poor_timestamps",
    "sniff_bytes",
    "sniff_format",
]

MediaKind: TypeAlias = Literal["image", "audio", "video", "pdf"]

HEAD_BYTES = 256  # enough for every rule here

# mp4: also QuickTime and 3GP; matroska: also WebM; mpeg: program and transport streams; asf: WMV;
# jp2: JPEG 2000.
_KIND_OF_FORMAT: dict[str, MediaKind] = {
    **dict.fromkeys(("jpeg", "png", "gif", "webp", "bmp", "tiff", "avif"), "image"),
    **dict.fromkeys(("heic", "jp2"), "image"),
    **dict.fromkeys(("wav", "flac", "mp3", "aac", "ogg", "m4a", "aiff", "amr"), "audio"),
    **dict.fromkeys(("mp4", "matroska", "avi", "mpeg", "asf", "flv", "ogv"), "video"),
    "pdf": "pdf",
}
FORMATS: tuple[str, ...] = tuple(_KIND_OF_FORMAT)

_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),  # BigTIFF, for files above 4 GB
    (b"MM\x00+", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"#!AMR", "amr"),
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (b"%PDF-", "pdf"),
)
_RIFF_FORMATS = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
_FORMAT_OF_BRAND = {
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A "), "m4a"),
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "heic"),
}


def sniff_bytes(head: bytes) -> MediaKind | None:
    """Kind of a file by its first bytes (HEAD_BYTES of them), None where they tell nothing."""
    name = sniff_format(head)
    return None if name is None else _KIND_OF_FORMAT[name]


def sniff_format(head: bytes) -> str | None:
    """One of FORMATS by a file's first bytes (HEAD_BYTES of them), None where they tell nothing."""
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    if head[:4] in (b"RIFF", b"RF64"):
        return _RIFF_FORMATS.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _FORMAT_OF_BRAND.get(head[8:12], "mp4")
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip") and head[:1] == b"\x00":
        return "mp4"  # QuickTime without ftyp
    if head[:4] == b"OggS":
        return "ogv" if b"theora" in head[:128] else "ogg"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if _is_mpeg_stream(head):
        return "mpeg"
    if _is_bmp(head):
        return "bmp"
    if _is_mpeg_audio(head):
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    return None


def has_poor_timestamps(head: bytes) -> bool:
    """Whether a clip's container lacks an index or some timestamps: MPEG streams and AVI."""
    return _is_mpeg_stream(head) or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def _is_mpeg_stream(head: bytes) -> bool:
    """Program stream, or transport stream with its packets of 188 or (Blu-ray) 192 bytes."""
    return (
        head[:4] == b"\x00\x00\x01\xba"
        or (head[:2] == b"G@" and head[188:189] == b"G")
        or (head[4:6] == b"G@" and head[196:197] == b"G")
    )


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
