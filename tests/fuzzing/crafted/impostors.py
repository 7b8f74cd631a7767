"""Files that are no media, or media that ask a decoder to open something else."""

from __future__ import annotations

import gzip
import io
import zipfile
from functools import partial

from mmrerank.types import Audio, Image, Video
from tests.fuzzing.crafted._kind import Crafted, broken

__all__ = ["IMPOSTORS"]


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("picture.png", b"none")
    return file.getvalue()


_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n%s\n#EXT-X-ENDLIST\n"
_SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
_SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
_DASH = b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>"

FILES: dict[str, bytes] = {
    "one_byte": b"\xff",
    "a_megabyte_of_zeros": bytes(1_000_000),
    "html": b"<!doctype html><title>404</title>",
    "svg": _SVG,
    "svg_with_declaration": b"\xef\xbb\xbf<?xml version='1.0'?>\n" + _SVG,
    "eps": _EPS,
    "dos_eps": b"\xc5\xd0\xd3\xc6" + bytes(26) + _EPS,
    "playlist_of_a_file": _PLAYLIST % b"file:///etc/passwd",
    "playlist_of_a_url": _PLAYLIST % b"http://127.0.0.1:9/x.ts",
    "concat_script": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "session_description": _SDP,
    "dash_manifest": _DASH,
    "shell_script": b"#!/bin/sh\necho no\n",
    "elf": b"\x7fELF\x02\x01\x01" + bytes(60),
    "windows_program": b"MZ\x90\0" + bytes(60),
    "zip": archive(),
    "gzip": gzip.compress(bytes(1_000), mtime=0),
    "text": b"This is a text file, whatever its name says.\n",
    "utf_16_text": "\ufeffThis is a text file.".encode("utf-16-le"),
    "bmp_like_text": b"BMW drives, BM reads: this is text and no bitmap at all.",
    "image_magick_script": b"push graphic-context\nimage over 0,0 0,0 '/etc/passwd'\n",
    "xbm": b"#define x_width 8\n#define x_height 8\nstatic char x_bits[] = { 0xff };\n",
    "fits": b"SIMPLE  =                    T".ljust(2_880),
}

IMPOSTORS: dict[str, Crafted] = {
    f"{name}_as_{wrap.modality}": broken(wrap, partial(bytes, content))
    for name, content in FILES.items()
    for wrap in (Image, Audio, Video)
}
