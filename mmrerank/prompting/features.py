"""Decoded media become tensors for the towers and placeholder tokens for the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from mmrerank.caching import ByteLRU
from mmrerank.errors import MediaUnreadable, SpecError
from mmrerank.prompting.resizing import resize_as_whole
from mmrerank.specs import BudgetSpec, PixelBudget
from mmrerank.types import (
    DecodedAudio,
    DecodedImage,
    DecodedVideo,
    LoadedMedia,
    MediaKey,
    Modality,
)

__all__ = ["TEXT_FIELDS", "MediaFeature", "MediaPreparer", "Preparer"]

# What a processor returns that is of the prompt, not of a medium.
TEXT_FIELDS = {"input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"}


@dataclass(frozen=True, slots=True, eq=False)
class MediaFeature:
    """One medium, ready for its tower.

    expansion: what the placeholder becomes in the prompt: num_tokens placeholder tokens, and what
    the
    family writes between them (times of frames, row ends).
    tensors: named as the model's forward names them, first dimension to be joined over media.
    """

    key: MediaKey
    expansion: str
    num_tokens: int
    tensors: Mapping[str, Tensor]

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the tensors hold."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


class Preparer(Protocol):
    """Makes media ready. placeholders: modality -> the word of the prompt; token_types: id of a
    token that stands for a medium -> 1 image, 2 video, 3 audio.
    """

    placeholders: dict[Modality, str]
    token_types: dict[int, int]

    def prepare(self, loaded: LoadedMedia) -> MediaFeature:
        """Tensors and expansion of one medium."""


class MediaPreparer:
    """Runs the checkpoint's media processor on one medium at a time, each distinct one once.

    The processor itself expands the placeholder and counts tokens, alone on that medium; so no
    family's
    counting rule is repeated here.
    """

    def __init__(
        self, processor: Any, budget: BudgetSpec, *, max_cache_bytes: int = 256 << 20
    ) -> None:
        self._processor = processor
        self._budget = budget
        self._cache: ByteLRU[MediaKey, MediaFeature] = ByteLRU(
            max_cache_bytes, lambda feature: feature.num_bytes
        )
        self.placeholders: dict[Modality, str] = {}
        self.token_types: dict[int, int] = {}
        names: tuple[Modality, ...] = ("image", "video", "audio")
        for number, modality in enumerate(names, start=1):
            token = getattr(processor, f"{modality}_token", None)
            if token is not None:
                self.placeholders[modality] = token
                # Some processors put another word into the prompt than they look for in it.
                known = getattr(processor, f"{modality}_token_ids", None) or [None]
                for token_id in known:
                    if token_id is None:
                        token_id = processor.tokenizer.convert_tokens_to_ids(token)
                    self.token_types[int(token_id)] = number

    def prepare(self, loaded: LoadedMedia) -> MediaFeature:
        """Tensors and expansion of one medium; the same key gives the same object while it is
        cached.
        """
        return self._cache.get_or_make(loaded.key, lambda: self._make(loaded))

    def _make(self, loaded: LoadedMedia) -> MediaFeature:
        placeholder = self.placeholders.get(loaded.modality)
        if placeholder is None:
            raise SpecError(
                f"{type(self._processor).__name__} has no placeholder token for {loaded.modality}; "
                "the model's modalities claim more than its processor takes"
            )
        try:
            output = self._processor(
                text=[placeholder],
                return_tensors="pt",
                # Or what the tokenizer puts around each text would stand in the midst of a prompt.
                text_kwargs={"add_special_tokens": False},
                **self._arguments(loaded),
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise MediaUnreadable(
                f"the model's media processor refuses this {loaded.modality} "
                f"({_describe(loaded)}): {error}"
            ) from error
        ids = output["input_ids"][0]
        kinds = torch.tensor(list(self.token_types))
        num_tokens = int(torch.isin(ids, kinds).sum())
        if num_tokens == 0:
            raise MediaUnreadable(
                f"this {loaded.modality} ({_describe(loaded)}) is too short: the model's media "
                "processor makes no token of it. Leave it out, or give a longer one."
            )
        # Decoding gives the text back exactly: placeholders are special tokens, what stands between
        # is short.
        text = self._processor.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        tensors = {
            name: _as_tensor(value) for name, value in output.items() if name not in TEXT_FIELDS
        }
        # Of samples only: pixels are bytes and always give finite numbers.
        for tensor in tensors.values() if loaded.modality == "audio" else ():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise MediaUnreadable(
                    f"this {loaded.modality} ({_describe(loaded)}) is out of all range: the "
                    "model's media processor makes no finite numbers of it."
                )
        return MediaFeature(loaded.key, expansion=text, num_tokens=num_tokens, tensors=tensors)

    def _arguments(self, loaded: LoadedMedia) -> dict[str, Any]:
        media = loaded.media
        if isinstance(media, DecodedImage):
            # With its layout, as three rows would be guessed at; pillow would copy it twice.
            pixels = torch.from_numpy(media.pixels).permute(2, 0, 1)  # (3, height, width)
            told = {**self._sizes("image"), "input_data_format": "channels_first"}
            if media.full_size is not None:
                own = self._processor.image_processor
                pixels = resize_as_whole(pixels, media.full_size, own, told)
            return {"images": [pixels], "images_kwargs": told}
        if isinstance(media, DecodedAudio):
            own = self._budget.processor_kwargs.get("audio", {})
            rate = {"sampling_rate": media.sampling_rate_hz}
            return {"audio": [media.samples], "audio_kwargs": {**own, **rate}}
        assert isinstance(media, DecodedVideo)
        frames = torch.from_numpy(media.frames).permute(0, 3, 1, 2)  # (frames, 3, height, width)
        metadata = {
            "total_num_frames": media.total_num_frames,
            "fps": media.fps,
            "frames_indices": list(media.frame_indices),
            "duration": media.total_num_frames / media.fps,
            "height": frames.shape[2],
            "width": frames.shape[3],
        }
        sampled = {"do_sample_frames": False, "video_metadata": [metadata], "return_metadata": True}
        sizes = {**self._sizes("video"), **self._frame_sizes(len(frames))}
        return {"videos": [frames], "videos_kwargs": {**sizes, **sampled}}

    def _frame_sizes(self, num_frames: int) -> dict[str, Any]:
        """A budget of each frame, as a media processor wants it that counts the whole clip."""
        frame = self._budget.frame
        if frame is None:
            return {}
        whole = PixelBudget(frame.min_pixels * num_frames, frame.max_pixels * num_frames)
        return {**_size(whole), "cap_pixels_per_frame": False}

    def _sizes(self, modality: Literal["image", "video"]) -> dict[str, Any]:
        """What the media processor is told about sizes: the ST files' word, then the budget's."""
        budget = self._budget.image if modality == "image" else self._budget.video
        return {**self._budget.processor_kwargs.get(modality, {}), **_size(budget)}


def _describe(loaded: LoadedMedia) -> str:
    media = loaded.media
    if isinstance(media, DecodedAudio):
        return f"{len(media.samples) / media.sampling_rate_hz:.2f} s"
    height, width = (
        media.pixels.shape if isinstance(media, DecodedImage) else media.frames.shape[1:]
    )[:2]
    return f"{width}x{height} px"


def _size(budget: PixelBudget | None) -> dict[str, Any]:
    if budget is None:
        return {}
    return {"size": {"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels}}


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(value)
