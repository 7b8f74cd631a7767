"""Pictures and clips of the world as uint8 arrays."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .world import BACKGROUNDS, Scene

__all__ = [
    "draw_change",
    "draw_clip",
    "draw_page",
    "draw_picture",
    "draw_shape",
    "finish",
    "random_size",
]

RGB = {
    "red": (220, 35, 35),
    "green": (35, 165, 60),
    "blue": (45, 75, 220),
    "yellow": (240, 220, 40),
    "purple": (145, 45, 185),
    "orange": (245, 140, 25),
    "black": (18, 18, 18),
    "white": (250, 250, 250),
}
BACKGROUND_RGB = {
    "white": (252, 252, 252),
    "grey": (135, 135, 135),
    "pink": (248, 185, 200),
    "brown": (115, 75, 40),
    "teal": (60, 140, 140),
}
ASPECTS = ((1, 1), (1, 1), (4, 3), (3, 4), (16, 9), (210, 297))
NUM_FRAMES = 4
_DIRECTION = {"still": (0, 0), "left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def draw_picture(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draw one picture at a random place, size and aspect ratio; (height, width, 3) uint8."""
    width, height = random_size(rng, 96, 800)
    image = _canvas(scene["background"], width, height, rng)
    radius = min(width, height) * rng.uniform(0.17, 0.42)
    centre = _place(width, height, radius, rng)
    _add_shape(image, scene["shape"], _jitter(RGB[scene["colour"]], 14, rng), centre, radius, rng)
    return finish(image, rng)


def draw_page(colour: str, shape: str, *, width: int = 595, height: int = 842) -> Image.Image:
    """Draw one shape on white A4 paper, always the same way."""
    image = Image.new("RGB", (width, height), (255, 255, 255))
    draw_shape(image, shape, RGB[colour], (width * 0.5, height * 0.42), width * 0.3)
    return image


def draw_shape(
    image: Image.Image,
    shape: str,
    rgb: tuple[int, int, int],
    centre: tuple[float, float],
    radius: float,
) -> None:
    """Paint an upright shape onto the image, without chance."""
    _add_shape(image, shape, rgb, centre, radius, np.random.default_rng(0), max_tilt=0.0)


def draw_clip(scene: Scene, rng: np.random.Generator, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """Draw the frames of one clip, evenly spaced in time; (num_frames, height, width, 3) uint8."""
    width, height = random_size(rng, 96, 480)
    colour = _jitter(RGB[scene["colour"]], 14, rng)
    image = _canvas(_other_background(scene["colour"], rng), width, height, rng)
    radius = min(width, height) * rng.uniform(0.15, 0.28)
    starts, ends = _path(scene["motion"], width, height, radius, rng)
    frames = []
    state = rng.integers(1 << 31)
    for at in np.linspace(0.0, 1.0, num_frames):
        frame = image.copy()
        centre = (float(starts[0] + (ends[0] - starts[0]) * at),
                  float(starts[1] + (ends[1] - starts[1]) * at))  # fmt: skip
        _add_shape(frame, scene["shape"], colour, centre, radius, np.random.default_rng(state))
        frames.append(frame)
    return _finish_frames(frames, rng)


def draw_change(first: Scene, second: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draw a clip whose content changes half way; (4, height, width, 3) uint8."""
    width, height = random_size(rng, 96, 480)
    frames = []
    for scene in (first, second):
        image = _canvas(_other_background(scene["colour"], rng), width, height, rng)
        radius = min(width, height) * rng.uniform(0.17, 0.35)
        centre = _place(width, height, radius, rng)
        colour = _jitter(RGB[scene["colour"]], 14, rng)
        _add_shape(image, scene["shape"], colour, centre, radius, rng)
        frames += [image, image.copy()]
    return _finish_frames(frames, rng)


def random_size(rng: np.random.Generator, min_px: int, max_px: int) -> tuple[int, int]:
    """Draw (width, height) of a canvas whose longer side lies in min_px..max_px."""
    longer = math.exp(rng.uniform(math.log(min_px), math.log(max_px)))
    across, down = ASPECTS[rng.integers(len(ASPECTS))]
    scale = longer / max(across, down)
    return max(32, round(across * scale)), max(32, round(down * scale))


def _jitter(
    rgb: tuple[int, int, int], amount: int, rng: np.random.Generator
) -> tuple[int, int, int]:
    values = np.clip(np.array(rgb) + rng.integers(-amount, amount + 1, 3), 0, 255)
    return int(values[0]), int(values[1]), int(values[2])


def _other_background(colour: str, rng: np.random.Generator) -> str:
    return str(rng.choice([name for name in BACKGROUNDS if name != colour]))


def _canvas(background: str, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    rgb = _jitter(BACKGROUND_RGB[background], 3 if background == "white" else 12, rng)
    style = rng.random()
    if style < 0.5:
        return Image.new("RGB", (width, height), rgb)
    strength = rng.uniform(2, 8) if background == "white" else rng.uniform(3, 14)
    cells = int(rng.integers(3, 8)) if style < 0.7 else int(rng.integers(20, 80))
    grid = rng.normal(0.0, strength, (cells, cells, 1)) + np.array(rgb)
    small = Image.fromarray(np.clip(grid, 0, 255).astype(np.uint8))
    return small.resize((width, height), Image.Resampling.BILINEAR)


def _place(width: int, height: int, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(radius, width - radius)), float(rng.uniform(radius, height - radius))


def _path(
    motion: str, width: int, height: int, radius: float, rng: np.random.Generator
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw start and end of the shape's centre; a moving one crosses half of its room or more."""
    across, down = _DIRECTION[motion]
    start, end = _place(width, height, radius, rng), (0.0, 0.0)
    if motion == "still":
        return start, start
    room = (width if across else height) - 2 * radius
    travel = room * rng.uniform(0.55, 1.0)
    low = radius + rng.uniform(0.0, room - travel)
    high = low + travel
    begin, finish = (low, high) if across + down > 0 else (high, low)
    if across:
        return (begin, start[1]), (finish, start[1])
    end = (start[0], finish)
    return (start[0], begin), end


def _add_shape(
    image: Image.Image,
    shape: str,
    rgb: tuple[int, int, int],
    centre: tuple[float, float],
    radius: float,
    rng: np.random.Generator,
    max_tilt: float = 0.12,
) -> None:
    """Paint the shape with soft edges: drawn twice as large, then shrunk onto the canvas."""
    scale = 2 if image.width < 400 else 1
    side = math.ceil(2 * radius) + 4
    mask = Image.new("L", (side * scale, side * scale), 0)
    _draw_mask(ImageDraw.Draw(mask), shape, side * scale / 2, radius * scale, rng, max_tilt)
    if scale > 1:
        mask = mask.resize((side, side), Image.Resampling.BOX)
    corner = (round(centre[0] - side / 2), round(centre[1] - side / 2))
    image.paste(Image.new("RGB", (side, side), rgb), corner, mask)


def _draw_mask(
    draw: ImageDraw.ImageDraw,
    shape: str,
    middle: float,
    radius: float,
    rng: np.random.Generator,
    max_tilt: float,
) -> None:
    box = (middle - radius, middle - radius, middle + radius, middle + radius)
    if shape == "circle":
        draw.ellipse(box, fill=255)
        return
    if shape == "ring":
        draw.ellipse(box, outline=255, width=max(2, round(radius * rng.uniform(0.28, 0.42))))
        return
    tilt = rng.uniform(-max_tilt, max_tilt)
    points = _outline(shape, rng.uniform(0.26, 0.34))
    cos, sin = math.cos(tilt), math.sin(tilt)
    draw.polygon(
        [
            (middle + radius * (x * cos - y * sin), middle + radius * (x * sin + y * cos))
            for x, y in points
        ],
        fill=255,
    )


def _outline(shape: str, arm: float) -> list[tuple[float, float]]:
    if shape == "square":
        return [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]
    if shape == "triangle":
        return [(0.0, -1.0), (0.92, 0.8), (-0.92, 0.8)]
    if shape == "cross":
        one = [(-arm, -1.0), (arm, -1.0), (arm, -arm), (1.0, -arm), (1.0, arm), (arm, arm)]
        return one + [(-x, -y) for x, y in one]
    return [
        (
            (1.0 if i % 2 == 0 else 0.42) * math.sin(i * math.pi / 5),
            -(1.0 if i % 2 == 0 else 0.42) * math.cos(i * math.pi / 5),
        )
        for i in range(10)
    ]


def finish(image: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Return the picture as a camera would store it; (height, width, 3) uint8."""
    return _finish_frames([image], rng)[0]


def _finish_frames(frames: list[Image.Image], rng: np.random.Generator) -> np.ndarray:
    """Add what cameras and encoders add: blur now and then, JPEG blocks, a change of light."""
    blur = rng.uniform(0.4, 1.2) if rng.random() < 0.15 else 0.0
    quality = int(rng.integers(55, 95)) if rng.random() < 0.35 else 0
    gain = rng.uniform(0.92, 1.06) if rng.random() < 0.4 else 1.0
    arrays = []
    for frame in frames:
        if blur:
            frame = frame.filter(ImageFilter.GaussianBlur(blur * frame.width / 200))
        if quality:
            buffer = io.BytesIO()
            frame.save(buffer, "JPEG", quality=quality)
            frame = Image.open(buffer).convert("RGB")
        array = np.asarray(frame)
        if gain != 1.0:
            array = np.clip(array.astype(np.float32) * gain, 0, 255).astype(np.uint8)
        arrays.append(array)
    return np.stack(arrays)
