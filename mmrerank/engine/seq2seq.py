"""Encoder-decoders: the encoder reads padded prompts, one decoder step gives the states.

The encoder reads in both directions, so nothing but a whole prompt can be shared: equal prompts of
a call are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, Features, ShouldStop
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.report import PlanReport
from mmrerank.engine.run_padded import PaddedEngine
from mmrerank.models.decoder import decoder_scale, decoder_start_id
from mmrerank.types import EncodedGroup

__all__ = ["Seq2SeqEngine", "Seq2SeqRunner", "places_of_prompts"]


class Seq2SeqRunner:
    """Runs a batch of prompts through the encoder, and its decoder for one token.

    model: a transformers model with a decoder and an output layer. padded: makes its inputs.
    """

    def __init__(self, model: Any, padded: PaddedRunner) -> None:
        self._padded = padded
        self._encoder, self._decoder = model.get_encoder(), model.get_decoder()
        self._start_id = decoder_start_id(model)
        self._scale = decoder_scale(model.config)

    def run(self, groups: Sequence[EncodedGroup], features: Features, device: Any) -> Tensor:
        """One forward pass; with gradients unless the caller has switched them off.

        Returns (num_prompts, hidden_size), what the output layer reads for the decoder's first
        word, in the order of the groups.
        """
        assert all(len(group.score_at) == 1 for group in groups), "one decoder step, one score"
        inputs = {
            name: tensor.to(device)
            for name, tensor in self._padded.inputs(groups, features).items()
        }
        encoded = self._encoder(**inputs).last_hidden_state  # (rows, tokens, hidden_size)
        decoded = self._decoder(
            input_ids=torch.full((len(groups), 1), self._start_id, device=device),
            encoder_hidden_states=encoded,
            encoder_attention_mask=inputs["attention_mask"],
            use_cache=False,
        )
        state: Tensor = decoded.last_hidden_state[:, 0]
        return state * self._scale


class Seq2SeqEngine:
    """Padded rows without the prompts that stand in a call more than once."""

    def __init__(self, runner: Seq2SeqRunner) -> None:
        self._rows = PaddedEngine(runner)

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Batches:
        """See `Engine.run`; a batch may give the states of more prompts than it computed."""
        owners = places_of_prompts(groups)
        distinct = [groups[places[0]] for places in owners]
        batches = self._rows.run(
            distinct, features, budget=budget, device=device, should_stop=should_stop
        )
        for rows, states in batches:
            places = [place for row in rows for place in owners[row]]
            computed = [number for number, row in enumerate(rows) for _ in owners[row]]
            yield tuple(places), states[computed]

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """See `Engine.explain`; padding counts as computed, the decoder's one token does not."""
        distinct = [groups[places[0]] for places in places_of_prompts(groups)]
        return replace(
            self._rows.explain(distinct, features, budget, device),
            runner="encoder-decoder",
            num_prompts=len(groups),
            num_tokens=sum(group.num_tokens for group in groups),
        )


def places_of_prompts(groups: Sequence[EncodedGroup]) -> list[list[int]]:
    """For each distinct prompt the places where it stands, in the order of the first ones."""
    places: dict[tuple[Any, ...], list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault((group.token_ids.tobytes(), group.media), []).append(place)
    return list(places.values())
