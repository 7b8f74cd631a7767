"""Media as they come out of a processor: random numbers of the right shapes, and their tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmrerank.prompting import MediaFeature
from mmrerank.types import MediaKey, Modality
from mmrerank.types.media import DecodeBudget

__all__ = ["PLACEHOLDERS", "Medium", "clips", "pictures", "sounds"]

NumTokensOf = Callable[[int], int]
PLACEHOLDERS: dict[Modality, int] = {"image": 8, "video": 9, "audio": 10}
_SEEN_BEFORE, _SEEN_BEHIND, _HEARD_BEFORE, _HEARD_BEHIND = 4, 5, 6, 7
_TIME = 11  # a word that tells when a frame was taken
_PATCH = 3 * 2 * 4 * 4  # channels, frames, height and width
_NUM_MELS, _MAX_MEL_FRAMES = 8, 40


@dataclass(frozen=True, eq=False)
class Medium:
    """token_ids: what stands in a prompt; [start, end) of it is the medium, marks are not."""

    feature: MediaFeature
    token_ids: np.ndarray
    start: int
    end: int

    @property
    def key(self) -> MediaKey:
        """Its name."""
        return self.feature.key


def pictures() -> list[Medium]:
    """Three of different shapes."""
    return [_seen("image", grid) for grid in ((1, 4, 4), (1, 8, 4), (1, 4, 6))]


def clips(*, seconds: str | None = None, are_apart: bool = False) -> list[Medium]:
    """Two of different lengths.

    seconds: how the model calls the time between frames. are_apart: marks and a time stand between
    the frames, as in Qwen3-VL.
    """
    found = []
    for grid in ((2, 4, 4), (3, 4, 6)):
        more = {} if seconds is None else {seconds: torch.tensor([float(grid[0])])}
        found.append(_seen("video", grid, are_apart=are_apart, **more))
    return found


def sounds(
    lengths: tuple[int, int] = (24, 37),
    *,
    are_padded: bool = True,
    num_tokens_of: NumTokensOf | None = None,
) -> list[Medium]:
    """Two of different lengths, in mel frames.

    are_padded: to one length, as some processors do. num_tokens_of: frames to placeholder tokens.
    """
    found = []
    for num_frames in lengths:
        num_columns = _MAX_MEL_FRAMES if are_padded else num_frames
        features = torch.zeros(1, _NUM_MELS, num_columns)
        chance = torch.Generator().manual_seed(num_frames)
        features[..., :num_frames] = torch.randn(1, _NUM_MELS, num_frames, generator=chance)
        mask = (torch.arange(num_columns) < num_frames).long()[None]
        num_tokens = (num_tokens_of or _tokens_of_sound)(num_frames)
        ids = [_HEARD_BEFORE, *[PLACEHOLDERS["audio"]] * num_tokens, _HEARD_BEHIND]
        tensors = {"input_features": features, "feature_attention_mask": mask}
        found.append(_medium("audio", str(num_frames), ids, num_tokens, tensors))
    return found


def _tokens_of_sound(num_frames: int) -> int:
    return ((num_frames - 1) // 2 + 1 - 2) // 2 + 1


def _seen(
    modality: Modality, grid: tuple[int, int, int], *, are_apart: bool = False, **more: Tensor
) -> Medium:
    """grid: frames (or pairs of them), rows and columns of patches; four of them make a token."""
    num_frames, height, width = grid
    per_frame = height * width // 4
    frame = [PLACEHOLDERS[modality]] * per_frame
    between = [_SEEN_BEHIND, _TIME, _SEEN_BEFORE] if are_apart else []
    frames = chain.from_iterable([*between, *frame] for _ in range(num_frames))
    ids = [_SEEN_BEFORE, *list(frames)[len(between) :], _SEEN_BEHIND]
    chance = torch.Generator().manual_seed(num_frames * height + width)
    name = "pixel_values" if modality == "image" else "pixel_values_videos"
    tensors = {
        name: torch.randn(num_frames * height * width, _PATCH, generator=chance),
        f"{modality}_grid_thw": torch.tensor([grid]),
        **more,
    }
    return _medium(modality, f"{grid}", ids, num_frames * per_frame, tensors)


def _medium(
    modality: Modality, name: str, ids: list[int], num_tokens: int, tensors: dict[str, Any]
) -> Medium:
    digest = hashlib.sha256(f"{modality} {name}".encode()).hexdigest()
    key = MediaKey(modality, digest, DecodeBudget())
    feature = MediaFeature(key, expansion="", num_tokens=num_tokens, tensors=tensors)
    return Medium(feature, np.array(ids, dtype=np.int64), 1, len(ids) - 1)
