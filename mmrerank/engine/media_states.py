"""Pictures, clips and sounds through their towers: what the language model gets in their place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.fused import FastForwards
from mmrerank.engine.inputs import join_features, to_device
from mmrerank.engine.lanes import lanes_on
from mmrerank.engine.memory import TokenLimit, TooLarge, attempt
from mmrerank.prompting import MediaFeature
from mmrerank.types import MediaKey

__all__ = ["MediaState", "TowerRunner"]

# Placeholder tokens of the media that share one run of a tower; processors are quicker with few,
# as with short rows (see memory.py).
_MAX_TOKENS = {"cpu": 256}
_MAX_TOKENS_ELSEWHERE = 4_096


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

    model: what holds towers and language model. placeholders: modality -> id of its token. fast:
    how to run the model's parts.
    """

    def __init__(
        self,
        model: Any,
        language_model: nn.Module,
        placeholders: Mapping[str, int],
        fast: FastForwards,
    ) -> None:
        self._model = model
        self._language_model = language_model
        self._placeholders = placeholders
        self._fast = fast
        self._limit = TokenLimit()

    def run(self, features: Sequence[MediaFeature], device: Any) -> dict[MediaKey, MediaState]:
        """The states of media, each distinct one given once.

        Raises EngineError when one medium alone does not fit into memory.
        """
        states: dict[MediaKey, MediaState] = {}
        waiting = list(features)
        while waiting:
            limits = self._limit.budget(self._budget_on(device), device)
            assert limits.max_tokens is not None
            for outcome in self._round(_batches(waiting, limits.max_tokens), device):
                if isinstance(outcome, TooLarge):
                    self._limit.shrink(outcome, device)
                else:
                    states.update(outcome)
            waiting = [feature for feature in waiting if feature.key not in states]
        return states

    def run_with_gradients(
        self, features: Sequence[MediaFeature], device: Any
    ) -> dict[MediaKey, MediaState]:
        """The same for training: in one run a kind of medium, and nothing is halved."""
        states: dict[MediaKey, MediaState] = {}
        with self._stopping_at_language_model():
            for batch in _batches(features, sys.maxsize):
                states.update(self._run(batch, device))
        return states

    @staticmethod
    def _budget_on(device: Any) -> TokenBudget:
        kind = torch.device(device).type
        return TokenBudget(max_tokens=_MAX_TOKENS.get(kind, _MAX_TOKENS_ELSEWHERE))

    def _round(
        self, batches: Sequence[Sequence[MediaFeature]], device: Any
    ) -> list[dict[MediaKey, MediaState] | TooLarge]:
        lanes = lanes_on(device)

        def run(batch: Sequence[MediaFeature]) -> dict[MediaKey, MediaState] | TooLarge:
            num_tokens = sum(feature.num_tokens for feature in batch)
            with torch.inference_mode():
                return attempt(lambda: self._run(batch, device), num_tokens, len(batch))

        with self._stopping_at_language_model(), self._fast.installed(device):
            futures = [lanes.start(partial(run, batch)) for batch in batches]
            wait(futures)
        return [future.result() for future in futures]

    def _run(self, batch: Sequence[MediaFeature], device: Any) -> dict[MediaKey, MediaState]:
        ids = torch.cat(
            [
                torch.full((feature.num_tokens,), self._placeholders[feature.key.modality])
                for feature in batch
            ]
        ).to(device)
        tensors = to_device(join_features(batch), device)
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

    @contextmanager
    def _stopping_at_language_model(self) -> Iterator[None]:
        def stop(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            raise _Reached(kwargs)

        handle = self._language_model.register_forward_pre_hook(stop, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def _call_until_language_model(self, **arguments: Any) -> dict[str, Any]:
        try:
            self._model(**arguments)
        except _Reached as reached:
            return reached.arguments
        raise AssertionError("the model ran without its language model")


def _batches(features: Sequence[MediaFeature], max_tokens: int) -> list[list[MediaFeature]]:
    """Media of one kind that fit one run; one alone always does."""
    batches: list[list[MediaFeature]] = []
    for feature in sorted(features, key=_kind):
        last = batches[-1] if batches else None
        if (
            last is None
            or _kind(last[0]) != _kind(feature)
            or sum(other.num_tokens for other in last) + feature.num_tokens > max_tokens
        ):
            batches.append([feature])
        else:
            last.append(feature)
    return batches


def _kind(feature: MediaFeature) -> tuple[str, list[tuple[int, ...]]]:
    """What may share a run of a tower: sounds of equal length only.

    Some towers fill a short sound up to the longest beside it and let its last state see that.
    """
    if feature.key.modality != "audio":
        return feature.key.modality, []
    return feature.key.modality, sorted(tuple(t.shape[1:]) for t in feature.tensors.values())
