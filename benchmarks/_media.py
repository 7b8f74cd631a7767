"""The files of the benchmarks, made on the spot: photographs as of a phone, and a long clip."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["make_clip", "make_photos"]

_FIXTURES = Path(__file__).parents[1] / "fixtures" / "media"
_PHOTOS = ("astronaut.jpg", "cat.jpg", "coffee.jpg", "flower.jpg", "rocket.jpg", "temple.jpg")


def make_photos(folder: Path, *, num: int, width: int, height: int) -> list[Path]:
    """JPEGs of quality 90, 4:2:0, each another cut of a photograph with noise of its own.

    The noise is what a sensor adds: without it an enlarged picture is so smooth that a JPEG of 12
    megapixels has 1 MB instead of 3 to 5, and decodes too fast.
    """
    rng = np.random.default_rng(0)
    grain = rng.normal(0.0, 6.0, (height, width, 1)).astype(np.float32)
    files = []
    for index in range(num):
        with Image.open(_FIXTURES / _PHOTOS[index % len(_PHOTOS)]) as photo:
            cut = _cut(photo.convert("RGB"), width / height, shift=index // len(_PHOTOS))
        pixels = np.asarray(cut.resize((width, height), Image.Resampling.BICUBIC), np.float32)
        noisy = pixels + np.roll(grain, 997 * index, axis=1)
        file = folder / f"photo{index:03}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(
            file, quality=90, subsampling="4:2:0"
        )
        files.append(file)
    return files


def _cut(photo: Image.Image, aspect: float, *, shift: int) -> Image.Image:
    """The largest part of that width to height, less a border that `shift` decides."""
    width = min(photo.width, photo.height * aspect) * (1 - 0.02 * (shift % 12))
    return photo.crop((0, 0, round(width), round(width / aspect)))


def make_clip(folder: Path, *, duration_s: float, width: int, height: int) -> Path:
    """H.264 with sound left out, 25 frames a second, a key frame each 250 as x264 does by itself.

    Needs the ffmpeg program.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise SystemExit("the benchmark needs the ffmpeg program: run `make system`")
    file = folder / "clip.mp4"
    pictures = f"testsrc2=size={width}x{height}:rate=25:duration={duration_s},noise=alls=6:allf=t"
    quality = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
    subprocess.run(
        [program, "-loglevel", "error", "-y", "-f", "lavfi", "-i", pictures, *quality, str(file)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return file
