"""Encoder-decoders whose encoder reads the document alone: prompts of two parts.

What the encoder makes of a document does not depend on the query, so each distinct document of a
call is encoded once, however many queries ask about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, Features, ShouldStop
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.report import PlanReport
from mmrerank.engine.run_padded import RowBatches
from mmrerank.engine.seq2seq import places_of_prompts
from mmrerank.models.decoder import decoder_scale, pooled
from mmrerank.types import EncodedGroup

__all__ = ["TwoPartEngine", "TwoPartRunner"]

T = TypeVar("T")

# Encoded documents wait for each other up to so many states, so that long ones, few of which fit
# into one batch of the encoder, do not make small batches of the decoder.
_MOST_WAITING_STATES = 8_192


class TwoPartRunner:
    """Runs a batch of documents through the encoder, or one of queries through the decoder.

    model: a transformers model with encoder, decoder and output layer. padded: makes its inputs.
    chunk_size: see EncoderDecoderSpec.
    """

    def __init__(self, model: Any, padded: PaddedRunner, chunk_size: int | None) -> None:
        self._encoder, self._decoder = model.get_encoder(), model.get_decoder()
        self._padded = padded
        self._chunk_size = chunk_size
        self._scale = decoder_scale(model.config)

    def num_states(self, document: EncodedGroup) -> int:
        """How many states the decoder sees of a document."""
        return -(-document.num_tokens // (self._chunk_size or 1))

    def encode(self, documents: Sequence[EncodedGroup], device: Any) -> list[Tensor]:
        """For each document (num_states, hidden_size)."""
        inputs = self._inputs(documents, device)
        states = self._encoder(**inputs).last_hidden_state  # (rows, tokens, hidden_size)
        states, _ = pooled(states, inputs["attention_mask"], self._chunk_size)
        # A copy: what is kept of a short one must not keep the whole batch.
        return [
            own[: self.num_states(document)].clone()
            for own, document in zip(states, documents, strict=True)
        ]

    def decode(
        self, queries: Sequence[EncodedGroup], documents: Sequence[Tensor], device: Any
    ) -> Tensor:
        """States (num_queries, hidden_size) at the last token of each query's part.

        documents: what `encode` gave for the document that each query asks about.
        """
        inputs = self._inputs(queries, device)
        ones = [torch.ones(len(own), dtype=torch.long, device=device) for own in documents]
        decoded = self._decoder(
            **inputs,
            encoder_hidden_states=pad_sequence(list(documents), batch_first=True),
            encoder_attention_mask=pad_sequence(ones, batch_first=True),
            use_cache=False,
        )
        last = inputs["attention_mask"].sum(dim=1) - 1
        rows = torch.arange(len(queries), device=device)
        states: Tensor = decoded.last_hidden_state[rows, last]
        return states * self._scale

    def _inputs(self, parts: Sequence[EncodedGroup], device: Any) -> dict[str, Tensor]:
        made = self._padded.inputs(parts, {})
        return {name: tensor.to(device) for name, tensor in made.items()}


class TwoPartEngine:
    """Padded rows of distinct documents, then padded rows of the queries that ask about them."""

    def __init__(self, runner: TwoPartRunner) -> None:
        self._runner = runner
        self._encoding, self._decoding = RowBatches(), RowBatches()

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
        call = _Call(groups, self._runner)
        limits: dict[str, Any] = {"budget": budget, "device": device, "should_stop": should_stop}
        encoded = self._encoding.run(
            [document.num_tokens for document in call.documents],
            lambda rows: self._runner.encode([call.documents[row] for row in rows], device),
            **limits,
        )
        for batches in _rounds(encoded, call.num_states):
            states = {
                row: own for rows, made in batches for row, own in zip(rows, made, strict=True)
            }
            yield from self._decode(call, states, limits)

    def _decode(
        self, call: _Call, states: Mapping[int, Tensor], limits: Mapping[str, Any]
    ) -> Batches:
        """The prompts about these documents. states: by document, what `encode` gave."""
        prompts = call.prompts_about(states)
        decoded = self._decoding.run(
            [call.length(prompt) for prompt in prompts],
            lambda rows: self._runner.decode(
                [call.queries[prompts[row]] for row in rows],
                [states[call.document_of[prompts[row]]] for row in rows],
                limits["device"],
            ),
            **limits,
        )
        for rows, read in decoded:
            places = [call.places[prompts[row]] for row in rows]
            computed = [number for number, own in enumerate(places) for _ in own]
            yield tuple(place for own in places for place in own), read[computed]

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """See `Engine.explain`; tokens of both parts count as computed, padding too."""
        call = _Call(groups, self._runner)
        lengths = [document.num_tokens for document in call.documents]
        encoding = self._encoding.plans(lengths, budget, device)
        num_computed, num_batches = sum(plan.num_tokens for plan in encoding), len(encoding)
        for batches in _rounds(((plan.rows, None) for plan in encoding), call.num_states):
            prompts = call.prompts_about({row for rows, _ in batches for row in rows})
            for plan in self._decoding.plans([call.length(p) for p in prompts], budget, device):
                longest = max(call.queries[prompts[row]].num_tokens for row in plan.rows)
                num_computed += longest * len(plan.rows)
                num_batches += 1
        return PlanReport(
            runner="encoder-decoder",
            num_prompts=len(groups),
            num_tokens=sum(group.num_tokens for group in groups),
            num_computed=num_computed,
            num_cached=0,
            num_batches=num_batches,
            num_media=0,
            num_media_cached=0,
        )


class _Call:
    """The distinct prompts of a call and their distinct documents.

    places: for each prompt where it stands in the call. queries: its decoder's part. document_of:
    which of `documents` it asks about. num_states: of each document.
    """

    def __init__(self, groups: Sequence[EncodedGroup], runner: TwoPartRunner) -> None:
        self.places = places_of_prompts(groups)
        self.documents: list[EncodedGroup] = []
        self.queries: list[EncodedGroup] = []
        self.document_of: list[int] = []
        known: dict[bytes, int] = {}
        for first, *_ in self.places:
            document, query = groups[first].parts()
            number = known.setdefault(document.token_ids.tobytes(), len(known))
            if number == len(self.documents):
                self.documents.append(document)
            self.document_of.append(number)
            self.queries.append(query)
        self.num_states = [runner.num_states(document) for document in self.documents]

    def length(self, prompt: int) -> int:
        """What a row of the decoder holds: its own tokens, and the document's states."""
        return self.queries[prompt].num_tokens + self.num_states[self.document_of[prompt]]

    def prompts_about(self, documents: Iterable[int]) -> list[int]:
        """The prompts that ask about these documents."""
        wanted = set(documents)
        return [prompt for prompt, own in enumerate(self.document_of) if own in wanted]


def _rounds(
    batches: Iterable[tuple[Sequence[int], T]], num_states: Sequence[int]
) -> Iterator[list[tuple[Sequence[int], T]]]:
    """Batches of documents that are decoded together."""
    waiting: list[tuple[Sequence[int], T]] = []
    num_waiting = 0
    for rows, made in batches:
        waiting.append((rows, made))
        num_waiting += sum(num_states[row] for row in rows)
        if num_waiting >= _MOST_WAITING_STATES:
            yield waiting
            waiting, num_waiting = [], 0
    if waiting:
        yield waiting
