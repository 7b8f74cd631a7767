"""Photo-like pictures that lie outside the world and match nothing."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .draw import finish, random_size

__all__ = ["draw_unrelated"]


def draw_unrelated(rng: np.random.Generator, size: tuple[int, int] | None = None) -> np.ndarray:
    """Draw something photo-like that shows no single shape; (height, width, 3) uint8."""
    width, height = size or random_size(rng, 96, 500)
    kind = rng.integers(7)
    if kind == 0:
        image = _smooth_noise(width, height, int(rng.integers(2, 7)), rng)
    elif kind == 1:
        image = _smooth_noise(width, height, int(rng.integers(10, 40)), rng)
    elif kind == 2:
        image = _landscape(width, height, rng)
    elif kind == 3:
        image = _collage(width, height, rng)
    elif kind == 4:
        image = _stripes(width, height, rng)
    else:
        image = _still_life(width, height, rng)
    return finish(image, rng)


def _smooth_noise(width: int, height: int, cells: int, rng: np.random.Generator) -> Image.Image:
    grid = rng.integers(0, 256, 3) + rng.normal(0, rng.uniform(15, 70), (cells, cells, 3))
    small = Image.fromarray(np.clip(grid, 0, 255).astype(np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _landscape(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    sky, land = (_smooth_noise(width, height, int(rng.integers(2, 5)), rng) for _ in range(2))
    horizon = float(rng.uniform(0.3, 0.7)) * height
    steps = np.linspace(0, 6, width)
    line = horizon + height * 0.1 * np.sin(steps + rng.uniform(0, 6)) * rng.uniform(0, 1.5)
    mask = (np.arange(height)[:, None] > line[None, :]).astype(np.uint8) * 255
    sky.paste(land, (0, 0), Image.fromarray(mask))
    return sky.filter(ImageFilter.GaussianBlur(width / 200))


def _collage(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    image = _smooth_noise(width, height, int(rng.integers(2, 8)), rng)
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 40))):
        rgb = tuple(int(v) for v in rng.integers(0, 256, 3))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        reach = min(width, height) * rng.uniform(0.03, 0.25)
        points = [
            (x + reach * rng.uniform(-1, 1), y + reach * rng.uniform(-1, 1))
            for _ in range(int(rng.integers(3, 8)))
        ]
        draw.polygon(points, fill=rgb)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))


def _stripes(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    angle, pitch = rng.uniform(0, math.pi), min(width, height) / rng.uniform(2, 12)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) / pitch * 2 * math.pi)
    ends = rng.integers(0, 256, (2, 3))
    share = ((wave + 1) / 2)[..., None]
    pixels = ends[0] * share + ends[1] * (1 - share) + rng.normal(0, 8, (height, width, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _still_life(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Soft things of several tones on a rough ground, lit from one side."""
    image = _rough(width, height, rng)
    for _ in range(int(rng.integers(2, 6))):
        mask = Image.new("L", (width, height), 0)
        x, y = rng.uniform(0.1, 0.9, 2) * (width, height)
        reach = rng.uniform(0.1, 0.45, 2) * min(width, height)
        ImageDraw.Draw(mask).ellipse(
            (x - reach[0], y - reach[1], x + reach[0], y + reach[1]), fill=255
        )
        mask = mask.rotate(float(rng.uniform(0, 90)), center=(float(x), float(y)))
        mask = mask.filter(ImageFilter.GaussianBlur(min(width, height) * rng.uniform(0.005, 0.05)))
        image.paste(_rough(width, height, rng), (0, 0), mask)
    return image


def _rough(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Noise of all sizes in one dull colour, brighter towards one side."""
    base = rng.uniform(30, 220) + rng.normal(0, 25, 3)
    pixels = np.zeros((height, width, 1))
    for cells in (3, 8, 20, 50):
        grid = Image.fromarray(rng.normal(0, 1, (cells, cells)).astype(np.float32))
        layer = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        pixels += layer[..., None] * rng.uniform(20, 60) / cells**0.5
    slope = np.linspace(-1, 1, width)[None, :, None] * rng.uniform(-50, 50)
    return Image.fromarray(np.clip(base + pixels + slope, 0, 255).astype(np.uint8))
