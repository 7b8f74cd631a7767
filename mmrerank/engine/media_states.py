"""Pictures, clips and sounds through their towers: what the language model gets in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmrerank.engine.inputs import join_features
from mmrerank.prompting import MediaFeature
from mmrerank.types import MediaKey

__all__ = ["MediaState", "TowerRunner"]

# Placeholder tokens of the media that share one run of a tower.
_MAX_TOKENS = 2_048


@dataclass(frozen=True, slots=True, eq=False)
class MediaState:
    """What stands at a medium's placeholder tokens.

    embeds: (num_tokens, hidden_size). layers: what some models add behind their first layers, each
    of the same shape.
    """

    embeds: Tensor
    layers: tuple[Tensor, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Bytes of memory that the tensors hold."""
        return sum(t.numel() * t.element_size() for t in (self.embeds, *self.layers))


class _Reached(Exception):
    """The language model was called: the towers are done."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments


class TowerRunner:
    """Runs a model's own forward up to its language model, and keeps what it hands over there.

    So no tower is called by its name: whatever a family does between pixels and embeddings is done.

    model: what holds towers and language model. placeholders: modality -> id of its token.
    """

    def __init__(self, model: Any, language_model: nn.Module, placeholders: Mapping[str, int]):
        self._model = model
        self._language_model = language_model
        self._placeholders = placeholders

    def run(self, features: Sequence[MediaFeature], device: Any) -> dict[MediaKey, MediaState]:
        """The states of media, each distinct one given once."""
        states: dict[MediaKey, MediaState] = {}
        for batch in _batches(features):
            states.update(self._run(batch, device))
        return states

    def _run(self, batch: Sequence[MediaFeature], device: Any) -> dict[MediaKey, MediaState]:
        ids = torch.cat(
            [
                torch.full((feature.num_tokens,), self._placeholders[feature.key.modality])
                for feature in batch
            ]
        ).to(device)
        tensors = {name: tensor.to(device) for name, tensor in join_features(batch).items()}
        given = self._call_until_language_model(
            input_ids=ids[None],
            # Given, so that the model does not work them out from a prompt that is none.
            position_ids=torch.arange(len(ids), device=device)[None],
            use_cache=False,
            **tensors,
        )
        sizes = [feature.num_tokens for feature in batch]
        embeds = given["inputs_embeds"][0].split(sizes)
        added = [layer.split(sizes) for layer in given.get("deepstack_visual_embeds") or ()]
        return {
            feature.key: MediaState(own, tuple(layer[place] for layer in added))
            for place, (feature, own) in enumerate(zip(batch, embeds, strict=True))
        }

    def _call_until_language_model(self, **arguments: Any) -> dict[str, Any]:
        def stop(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            raise _Reached(kwargs)

        handle = self._language_model.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            self._model(**arguments)
        except _Reached as reached:
            return reached.arguments
        finally:
            handle.remove()
        raise AssertionError("the model ran without its language model")


def _batches(features: Sequence[MediaFeature]) -> list[list[MediaFeature]]:
    """Media of one kind that fit one run."""
    batches: list[list[MediaFeature]] = []
    for feature in sorted(features, key=lambda feature: feature.key.modality):
        last = batches[-1] if batches else None
        if (
            last is None
            or last[0].key.modality != feature.key.modality
            or sum(other.num_tokens for other in last) + feature.num_tokens > _MAX_TOKENS
        ):
            batches.append([feature])
        else:
            last.append(feature)
    return batches
