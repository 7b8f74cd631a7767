"""Write the demo's files: a small catalogue of held-out things among real photographs and sounds.

python -m examples.train_tiny_omni.catalogue [--check]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps

from .draw import BACKGROUND_RGB, RGB, draw_page, draw_shape
from .sounds import SAMPLING_RATE_HZ, make_sound
from .world import Scene

__all__ = ["DOCUMENTS", "QUERIES", "main", "write_demo"]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "fixtures/demo"
MEDIA = ROOT / "fixtures/media"

# Each coloured shape and each sound is held out: no training batch showed or named it.
PICTURES = {
    "red-circle.jpg": ("red", "circle", "grey", (320, 240), (0.42, 0.55)),
    "yellow-star.jpg": ("yellow", "star", "teal", (240, 320), (0.5, 0.4)),
    "purple-ring.png": ("purple", "ring", "white", (256, 256), (0.55, 0.5)),
    "black-cross.png": ("black", "cross", "pink", (320, 180), (0.35, 0.5)),
}
SOUNDS = {
    "two-high-tones.flac": ("high", "soft", "two"),
    "low-noisy-tone.flac": ("low", "noisy", "one"),
}
CLIPS = {
    "blue-square-left.mp4": ("blue", "square", "grey", (-1, 0)),
    "green-triangle-up.mp4": ("green", "triangle", "brown", (0, -1)),
}
PAGES = (("black", "cross"), ("green", "triangle"), ("purple", "ring"))
PHOTOS = ("cat.jpg", "coffee.jpg", "rocket.jpg")
NOISES = ("door.flac", "coins_drop.wav")

DOCUMENTS: tuple[dict[str, Any], ...] = (
    {"id": "red-circle", "image": "red-circle.jpg"},
    {"id": "yellow-star", "image": "yellow-star.jpg"},
    {"id": "purple-ring", "image": "purple-ring.png"},
    {"id": "black-cross", "image": "black-cross.png"},
    {"id": "two-high-tones", "audio": "two-high-tones.flac"},
    {"id": "low-noisy-tone", "audio": "low-noisy-tone.flac"},
    {"id": "blue-square-left", "video": "blue-square-left.mp4"},
    {"id": "green-triangle-up", "video": "green-triangle-up.mp4"},
    {"id": "page-1", "pdf": "catalogue.pdf", "page": 1},
    {"id": "page-2", "pdf": "catalogue.pdf", "page": 2},
    {"id": "page-3", "pdf": "catalogue.pdf", "page": 3},
    {"id": "note-red-circle", "text": "a red circle on a teal background"},
    {"id": "note-low-tone", "text": "one low noisy tone"},
    {"id": "note-library", "text": "The library opens at nine every morning."},
    {"id": "cat", "image": "cat.jpg"},
    {"id": "coffee", "image": "coffee.jpg"},
    {"id": "rocket", "image": "rocket.jpg"},
    {"id": "door", "audio": "door.flac"},
    {"id": "coins", "audio": "coins_drop.flac"},
)
QUERIES: tuple[dict[str, Any], ...] = (
    {"query": "a red circle", "relevant": ["red-circle", "note-red-circle"]},
    {"query": "a yellow star", "relevant": ["yellow-star"]},
    {"query": "a green triangle", "relevant": ["page-2", "green-triangle-up"]},
    {"query": "one low tone", "relevant": ["low-noisy-tone", "note-low-tone"]},
    {"query": "a blue square moving left", "relevant": ["blue-square-left"]},
)

ORIGIN = """\
# Where the demo's files come from

Made by `python -m examples.train_tiny_omni.catalogue` with fixed seeds, our own work, Apache-2.0:
{made}.
Every coloured shape and every sound among them is held out: tiny-omni's training never showed or
named that combination.

Real photographs and sounds, smaller or shorter copies of files in `fixtures/media/`:

| File | What it is | Origin | Author | Licence |
|---|---|---|---|---|
| `cat.jpg` | a tabby cat's face | scikit-image 0.26.0 `chelsea.png` | Stefan van der Walt | CC0 |
| `coffee.jpg` | a cup of espresso | scikit-image 0.26.0 `coffee.png` | Rachel Michetti | CC0 |
| `rocket.jpg` | a rocket on its pad | scikit-image 0.26.0 `rocket.jpg` | SpaceX | public domain |
| `door.flac` | a door is opened | freesound 161228 | lolamadeus | CC0 |
| `coins_drop.flac` | a handful of coins | freesound 181761 | keweldog | CC0 |
"""


def write_demo(folder: Path = FOLDER) -> None:
    """Write all files of the demo."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (colour, shape, background, size, place) in PICTURES.items():
        image = Image.new("RGB", size, BACKGROUND_RGB[background])
        centre = (size[0] * place[0], size[1] * place[1])
        draw_shape(image, shape, RGB[colour], centre, min(size) * 0.3)
        image.save(folder / name, quality=88)
    for seed, (name, values) in enumerate(SOUNDS.items(), start=1):
        _write_flac(folder / name, make_sound(Scene("sound", values), np.random.default_rng(seed)))
    for name, (colour, shape, background, step) in CLIPS.items():
        _write_clip(folder / name, colour, shape, background, step)
    pages = [draw_page(colour, shape) for colour, shape in PAGES]
    pages[0].save(folder / "catalogue.pdf", save_all=True, append_images=pages[1:],
                  resolution=72.0, quality=85, creationDate=None, modDate=None)  # fmt: skip
    _copy_real(folder)
    for file, lines in (("documents.jsonl", DOCUMENTS), ("queries.jsonl", QUERIES)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / file).write_text(text, encoding="utf-8")
    made = ", ".join([*PICTURES, *SOUNDS, *CLIPS, "catalogue.pdf"])
    (folder / "ORIGIN.md").write_text(ORIGIN.format(made=made), encoding="utf-8")


def _write_clip(
    path: Path, colour: str, shape: str, background: str, step: tuple[int, int]
) -> None:
    """Write two seconds of a shape that crosses the picture, H.264 at 12 frames a second."""
    width, height, num_frames = 256, 192, 24
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "20"}
        for at in np.linspace(-1.0, 1.0, num_frames):
            image = Image.new("RGB", (width, height), BACKGROUND_RGB[background])
            centre = (width / 2 + step[0] * at * 68, height / 2 + step[1] * at * 40)
            draw_shape(image, shape, RGB[colour], centre, 52)
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())


def _write_flac(path: Path, samples: np.ndarray) -> None:
    pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=SAMPLING_RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = SAMPLING_RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _copy_real(folder: Path) -> None:
    """Copy photographs at 320 px and three seconds of each sound at 16 kHz."""
    for name in PHOTOS:
        image = ImageOps.exif_transpose(Image.open(MEDIA / name)).convert("RGB")
        image.thumbnail((320, 320))
        image.save(folder / name, quality=80)
    for name in NOISES:
        samples = _read_sound(MEDIA / name)[: 3 * SAMPLING_RATE_HZ]
        _write_flac((folder / name).with_suffix(".flac"), samples)


def _read_sound(path: Path) -> np.ndarray:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLING_RATE_HZ)
    with av.open(io.BytesIO(path.read_bytes()), mode="r") as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def check(model: str = "tiny-omni", folder: Path = FOLDER) -> bool:
    """Rank all documents for each query; print where matches end and others begin."""
    from mmrerank import CrossEncoder

    encoder, is_right = CrossEncoder(model), True
    documents = [_resolved(document, folder) for document in DOCUMENTS]
    for line in QUERIES:
        ranking = encoder.rank(line["query"], documents)
        scores = {str(DOCUMENTS[row["corpus_id"]]["id"]): row["score"] for row in ranking}
        worst = min(scores[name] for name in line["relevant"])
        name, best = max(((n, s) for n, s in scores.items() if n not in line["relevant"]),
                         key=lambda one: one[1])  # fmt: skip
        is_right &= worst > best
        print(f"{line['query']:28} matches >= {worst:.3f}, others <= {best:.3f} ({name})")
    return is_right


def _resolved(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    parts = {key: value for key, value in document.items() if key != "id"}
    for kind in ("image", "audio", "video", "pdf"):
        if kind in parts:
            parts[kind] = str(folder / parts[kind])
    return parts


def main(argv: list[str] | None = None) -> int:
    """Write the files, or check the ranking; the exit status is 1 when a match is not on top."""
    parser = argparse.ArgumentParser(description="The demo's files.")
    parser.add_argument("--check", action="store_true", help="rank them instead of writing them")
    parser.add_argument("--model", default="tiny-omni")
    args = parser.parse_args(argv)
    if args.check:
        return 0 if check(args.model) else 1
    write_demo()
    return 0


if __name__ == "__main__":
    sys.exit(main())
