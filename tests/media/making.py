"""Small media made on the spot: pictures by pillow, sounds and clips by PyAV."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
from PIL import Image


def picture_bytes(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(width: int = 16, height: int = 12) -> Image.Image:
    """An RGB picture in which no two rows or columns are alike."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 3], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def clip_bytes(
    num_frames: int = 30,
    *,
    fps: int = 10,
    codec: str = "libx264",
    container: str = "mp4",
    width: int = 64,
    height: int = 48,
    key_every: int = 7,
) -> bytes:
    """A clip whose frame i is one colour with red about 8 · i."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"g": str(key_every)}
        for index in range(num_frames):
            pixels = np.zeros((height, width, 3), np.uint8)
            pixels[...] = (index * 8 % 256, 255 - index * 8 % 256, 128)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                output.mux(packet)
        for packet in stream.encode():
            output.mux(packet)
    return file.getvalue()


def sound_bytes(
    duration_s: float = 1.0, *, rate: int = 22_050, codec: str = "pcm_s16le", container: str = "wav"
) -> bytes:
    """A stereo tone of 440 Hz; the right channel is half as loud as the left."""
    time = np.arange(int(rate * duration_s)) / rate
    tone = np.sin(2 * np.pi * 440 * time)
    samples = (np.stack([tone, tone / 2]) * 20_000).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1).copy(), "s16", "stereo")
        frame.sample_rate = rate
        frame_size = stream.codec_context.frame_size or None
        resampler = av.AudioResampler(stream.format, stream.layout, rate, frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(part):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
    return file.getvalue()


def pdf_bytes(*sizes: tuple[int, int]) -> bytes:
    """A PDF with one page a size, each filled with one colour."""
    pages = [Image.new("RGB", size, (200, 30, 30)) for size in sizes]
    return picture_bytes(pages[0], "PDF", save_all=True, append_images=pages[1:])
