"""A clip decoded through, every frame of it: what sampling without seeking costs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["by_pyav", "by_torchcodec"]

_CHUNK = 100


def by_torchcodec(file: Path) -> int:
    """Number of frames, all of them decoded to RGB, with as many threads as FFmpeg likes."""
    from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined]

    decoder = VideoDecoder(file, num_ffmpeg_threads=0)
    total = len(decoder)
    for start in range(0, total, _CHUNK):
        decoder.get_frames_in_range(start, min(start + _CHUNK, total))
    return total


def by_pyav(file: Path, wanted: Iterable[int]) -> int:
    """Number of frames; only the wanted are turned into RGB, so this is the least it can cost."""
    import av

    places = frozenset(wanted)
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        last = -1
        for last, frame in enumerate(container.decode(stream)):
            if last in places:
                frame.to_ndarray(format="rgb24")
    return last + 1
