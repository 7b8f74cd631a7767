"""The padded runner: one row a prompt, padded on the right to the longest one. It runs every
architecture.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmrerank.engine.inputs import join_features, modality_types
from mmrerank.heads import Head
from mmrerank.models.architectures import MEDIA_TYPES
from mmrerank.prompting import MediaFeature
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["PaddedRunner"]


class PaddedRunner:
    """Runs a batch of prompts and reads what the head wants.

    Rows are padded on the right and scores read at their own position, not at the last column: so a
    row's
    positions start at 0 whatever else is in the batch, also for models with learned absolute
    positions.

    model: a transformers model; pad_id: any token id. token_types: placeholder id -> 1 image, 2
    video,
    3 audio, for models that want `mm_token_type_ids`.
    """

    def __init__(
        self, model: Any, head: Head, *, pad_id: int, token_types: Mapping[int, int]
    ) -> None:
        self._head = head
        self._pad_id = pad_id
        self._token_types = dict(token_types)
        self._types_name = MEDIA_TYPES.get(model.config.model_type, "mm_token_type_ids")
        # The checkpoint's own classifier needs the whole model, the other heads only what is below
        # lm_head.
        self.module: nn.Module = model if head.reads == "logits" else model.base_model
        accepted = inspect.signature(self.module.forward).parameters
        self._takes = set(accepted)
        self._options = (
            {"use_cache": False} if "use_cache" in accepted or _has_kwargs(accepted) else {}
        )

    def run(
        self, groups: Sequence[EncodedGroup], features: Mapping[MediaKey, MediaFeature], device: Any
    ) -> Tensor:
        """One forward pass.

        Returns (num_read, dim) in the order of the groups and what is read of them.
        """
        inputs = {name: tensor.to(device) for name, tensor in self.inputs(groups, features).items()}
        output = self.module(**inputs, **self._options)
        if self._head.reads == "logits":
            logits: Tensor = output.logits
            return logits if logits.ndim == 2 else logits.unsqueeze(-1)
        hidden: Tensor = output.last_hidden_state  # (rows, tokens, hidden_size)
        if self._head.reads == "tokens":
            assert self._head.pool is not None
            return self._head.pool(hidden, inputs["attention_mask"])
        rows = torch.tensor(
            [row for row, group in enumerate(groups) for _ in group.read_at], device=device
        )
        columns = torch.tensor(
            [position for group in groups for position in group.read_at], device=device
        )
        return hidden[rows, columns]

    def inputs(
        self,
        groups: Sequence[EncodedGroup],
        features: Mapping[MediaKey, MediaFeature],
        *,
        pad_left: bool = False,
    ) -> dict[str, Tensor]:
        """The arguments of the model's forward: ids, mask, and media tensors in the order of the
        rows.

        pad_left: for callers that read the last column, as the peer's modules do. Of prompts in two
        parts the decoder's have names of their own.
        """
        if groups[0].decoder_at is not None:
            encoders, decoders = zip(*(group.parts() for group in groups), strict=True)
            decoder = self.inputs(decoders, {})
            return {
                **self.inputs(encoders, {}),
                **{f"decoder_{name}": tensor for name, tensor in decoder.items()},
            }
        ids = _pad([group.token_ids for group in groups], self._pad_id, pad_left=pad_left)
        ones = [np.ones_like(group.token_ids) for group in groups]
        arrays = {"input_ids": ids, "attention_mask": _pad(ones, 0, pad_left=pad_left)}
        if groups[0].token_type_ids is not None:
            arrays["token_type_ids"] = _pad(
                [_types(group) for group in groups], 0, pad_left=pad_left
            )
        if self._token_types and self._types_name in self._takes:
            arrays[self._types_name] = modality_types(ids, self._token_types)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {
            **tensors,
            **join_features([features[span.key] for group in groups for span in group.media]),
        }


def _pad(rows: Sequence[np.ndarray], value: int, *, pad_left: bool) -> np.ndarray:
    padded = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for place, row in enumerate(rows):
        start = padded.shape[1] - len(row) if pad_left else 0
        padded[place, start : start + len(row)] = row
    return padded


def _types(group: EncodedGroup) -> np.ndarray:
    assert group.token_type_ids is not None, (
        "a tokenizer makes token types for all prompts or for none"
    )
    return group.token_type_ids


def _has_kwargs(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
