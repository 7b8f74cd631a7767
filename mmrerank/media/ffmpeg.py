"""Opens sounds and clips with PyAV so that FFmpeg reads the given bytes and nothing else."""

from __future__ import annotations

from typing import Any

from mmrerank.media.encoded import Encoded, as_file

__all__ = ["has_sound", "open_container"]

# The demuxers of the formats in inputs.sniff. Not among them: playlists (hls, dash, concat, sdp,
# …), which open what they name; a file can pass for a sound and still be probed as one.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,live_flv,ogg,"
    "wav,w64,flac,mp3,aac,aiff,amr,gif,apng"
)
_OPTIONS = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none", "enable_drefs": "0"}


def open_container(data: Encoded) -> Any:
    """A PyAV container to read from; a context manager. Raises av's own errors."""
    import av

    return av.open(as_file(data), "r", metadata_errors="replace", options=dict(_OPTIONS))


def has_sound(data: Encoded) -> bool:
    """Whether a clip has a sound track. Raises av's own errors."""
    with open_container(data) as container:
        return bool(container.streams.audio)
