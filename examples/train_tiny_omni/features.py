"""Media to model input: the HF processors' numbers, computed with less overhead.

`check.py` holds them equal to the processors' output.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torchvision.transforms.v2 import functional as tvf
from transformers import WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from .model import HOP_SAMPLES, MAX_PIXELS, MERGE, MIN_PIXELS, PATCH_PX

__all__ = ["log_mel", "num_audio_tokens", "patchify", "resize_frames"]

_FACTOR = PATCH_PX * MERGE


def resize_frames(frames: np.ndarray) -> np.ndarray:
    """Resize frames (num_frames, height, width, 3) into the pixel budget.

    Returns (num_frames, 3, new_height, new_width) uint8.
    """
    old_height, old_width = frames.shape[1:3]
    height, width = smart_resize(
        old_height, old_width, factor=_FACTOR, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS
    )
    tensor = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
    resized = tvf.resize(
        tensor, [height, width], interpolation=tvf.InterpolationMode.BICUBIC, antialias=True
    )
    return np.asarray(resized.numpy())


def patchify(frames: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Cut resized uint8 frames (num_frames, 3, height, width) into patches.

    Returns (num_patches, 3 * 2 * 64) float32 in [-1, 1] and the grid (time, rows, columns).
    One frame counts as two equal ones.
    """
    if len(frames) % 2:
        frames = np.concatenate([frames, frames[-1:]])
    pixels = frames.astype(np.float32) * np.float32(1 / 127.5) - np.float32(1.0)
    steps, rows, columns = (
        len(frames) // 2, frames.shape[2] // PATCH_PX, frames.shape[3] // PATCH_PX,
    )  # fmt: skip
    cut = pixels.reshape(
        steps, 2, 3, rows // MERGE, MERGE, PATCH_PX, columns // MERGE, MERGE, PATCH_PX
    )
    ordered = cut.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return ordered.reshape(steps * rows * columns, -1), (steps, rows, columns)


@cache
def _extractor() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=80, hop_length=HOP_SAMPLES, n_fft=400)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return the log-mel frames (80, num_frames) of (num_samples,) float32 at 16 kHz.

    The extractor pads to 30 s and masks; a short pad of silence gives the same valid frames.
    """
    num_frames = math.ceil(len(samples) / HOP_SAMPLES)
    padded = np.zeros((num_frames + 3) * HOP_SAMPLES, dtype=np.float32)
    padded[: len(samples)] = samples
    features = _extractor()._torch_extract_fbank_features(padded[None])[0]
    return np.asarray(features[:, :num_frames], dtype=np.float32)


def num_audio_tokens(num_frames: int) -> int:
    """Count the tokens of a sound with that many mel frames."""
    return ((num_frames - 1) // 2 + 1 - 2) // 2 + 1
