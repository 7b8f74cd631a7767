"""Encoded prompts and media features as the tensors of a model's forward."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from mmrerank.models.architectures import COUNT_FROM_PADDING
from mmrerank.prompting import MediaFeature
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["Positions", "first_position", "join_features", "modality_types", "to_device"]


def join_features(features: Sequence[MediaFeature]) -> dict[str, Tensor]:
    """Each tensor of the media joined along its first dimension; pictures, clips and sounds keep
    their own names.

    Sounds of different lengths get zeros behind them, and zeros in their masks: some media
    processors make all of one length by themselves, others only those of one call.
    """
    columns: dict[str, list[Tensor]] = {}
    sounds: set[str] = set()
    for feature in features:
        for name, tensor in feature.tensors.items():
            columns.setdefault(name, []).append(tensor)
        if feature.key.modality == "audio":
            sounds.update(feature.tensors)
    return {
        name: torch.cat(_of_one_size(tensors) if name in sounds else tensors, dim=0)
        for name, tensors in columns.items()
    }


def _of_one_size(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors with zeros behind them, all dimensions but the first as long as the longest."""
    sizes = [max(lengths) for lengths in zip(*(t.shape[1:] for t in tensors), strict=True)]
    return [_filled_up(tensor, sizes) for tensor in tensors]


def _filled_up(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    missing = [size - own for size, own in zip(sizes, tensor.shape[1:], strict=True)]
    # torch's pad begins with the last dimension, and wants what goes in front as well.
    return pad(tensor, [number for behind in reversed(missing) for number in (0, behind)])


def to_device(tensors: Mapping[str, Tensor], device: Any) -> dict[str, Tensor]:
    """The tensors there; on their way to a GPU while the processor goes on."""
    if torch.device(device).type != "cuda":
        return {name: tensor.to(device) for name, tensor in tensors.items()}
    return {
        name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in tensors.items()
    }


def modality_types(ids: np.ndarray, token_types: Mapping[int, int]) -> np.ndarray:
    """0 for text, else the kind of the placeholder; the shape of `ids`."""
    types = np.zeros_like(ids)
    for token_id, number in token_types.items():
        types[ids == token_id] = number
    return types


def first_position(config: Any) -> int:
    """The position of a prompt's first token, for a text model with this config."""
    return int(config.pad_token_id) + 1 if config.model_type in COUNT_FROM_PADDING else 0


class Positions:
    """Position ids of a prompt as its model counts them: one, or three where media have places.

    model: asked for `get_rope_index` where it has one. first: the position of the first token.
    """

    def __init__(self, model: Any, token_types: Mapping[int, int], *, first: int = 0) -> None:
        self._token_types = token_types
        self._first = first
        self._by_model = getattr(model, "get_rope_index", None)
        self._takes = set(inspect.signature(self._by_model).parameters) if self._by_model else set()
        self.num_axes = 3 if self._by_model else 1

    def of(self, group: EncodedGroup, features: Mapping[MediaKey, MediaFeature]) -> Tensor:
        """(num_axes, num_tokens) int64."""
        count = torch.arange(self._first, self._first + group.num_tokens)
        if not group.media or self._by_model is None:
            return count.expand(self.num_axes, -1)
        ids = torch.from_numpy(group.token_ids)[None]
        types = torch.from_numpy(modality_types(group.token_ids, self._token_types))[None]
        tensors = join_features([features[span.key] for span in group.media])
        known: dict[str, Any] = {
            **tensors,
            "input_ids": ids,
            "mm_token_type_ids": types,
            "attention_mask": torch.ones_like(ids),
            "second_per_grids": tensors.get("video_second_per_grid"),
        }
        if "feature_attention_mask" in tensors:
            known["audio_seqlens"] = tensors["feature_attention_mask"].sum(-1)
        arguments = {name: value for name, value in known.items() if name in self._takes}
        positions: Tensor = self._by_model(**arguments)[0]
        return positions[:, 0].long()
