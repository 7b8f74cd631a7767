"""The two libraries on one tiny checkpoint, each by what its predict does before the model runs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from PIL import ImageFile
from transformers import Qwen3VLProcessor

from mmrerank.inputs import parse_pairs
from mmrerank.types import Pair
from tests.checkpoints import build_qwen3_vl

__all__ = [
    "Call",
    "build_checkpoint",
    "counted_decodes",
    "run_ours",
    "run_peer",
    "tensors",
    "with_fresh_caches",
]

Call = Callable[[], object]
_BATCH_SIZE = 32  # that of predict in both libraries
# By name: for the type checker the module does not export what is counted here.
_peer_images: Any = import_module("transformers.image_processing_backends")
_MEDIA = ("pixel_values", "pixel_values_videos")


def build_checkpoint(folder: Path, *, max_frames: int) -> Path:
    """A tiny model with the published reranker's processor: 1.3 megapixels a picture, 32 frames."""
    build_qwen3_vl(folder)
    processor = Qwen3VLProcessor.from_pretrained(folder)
    processor.video_processor.max_frames = max_frames
    processor.save_pretrained(folder)
    return folder


def with_fresh_caches(model: Any) -> Any:
    """The same weights without what was kept of earlier calls; the peer keeps nothing."""
    return copy.copy(model)  # a copy of ours leaves its pipeline, which owns the caches, behind


def tensors(model: Any, documents: Sequence[str | Path]) -> Iterator[torch.Tensor]:
    """From files to the tensors of the vision tower, by `preprocess`, a batch at a time."""
    pairs = [("a query", str(document)) for document in documents]
    model = with_fresh_caches(model)
    for start in range(0, len(pairs), _BATCH_SIZE):
        with torch.inference_mode():
            features = model.preprocess(pairs[start : start + _BATCH_SIZE])
        yield next(features[name] for name in _MEDIA if name in features)


def run_peer(model: Any, documents: Sequence[str | Path]) -> Call:
    """Everything made, nothing kept but one batch: the peer's predict makes batches at once."""

    def call() -> None:
        for batch in tensors(model, documents):
            del batch

    return call


def run_ours(model: Any, documents: Sequence[str | Path]) -> Call:
    """The same, each medium's tensors by themselves: so the engine gets them."""
    pairs = parse_pairs([("a query", str(document)) for document in documents]).pairs

    def call() -> None:
        pipeline = with_fresh_caches(model).pipeline
        for start in range(0, len(pairs), _BATCH_SIZE):
            pipeline.encode([p for p in pairs[start : start + _BATCH_SIZE] if isinstance(p, Pair)])

    return call


def counted_decodes(call: Call) -> int:
    """How many pictures are decoded while `call` runs, by pillow (ours) or the peer's loader."""
    counts = [0]
    ours, theirs = ImageFile.ImageFile.load_prepare, _peer_images.load_image_as_tensor

    def count_ours(self: Any) -> None:
        counts[0] += 1
        ours(self)

    def count_theirs(*args: Any, **kwargs: Any) -> Any:
        counts[0] += 1
        return theirs(*args, **kwargs)

    ImageFile.ImageFile.load_prepare = count_ours  # type: ignore[method-assign]
    _peer_images.load_image_as_tensor = count_theirs
    try:
        call()
    finally:
        ImageFile.ImageFile.load_prepare = ours  # type: ignore[method-assign]
        _peer_images.load_image_as_tensor = theirs
    return counts[0]
