"""The engine of encoders that OpenVINO runs on a processor."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.inputs import first_position
from mmrerank.engine.interface import Batches, Engine, Features, ShouldStop, check
from mmrerank.engine.memory import TokenLimit, TooLarge, attempt
from mmrerank.engine.openvino import CompiledEncoder, OpenVINO
from mmrerank.engine.plan import BatchPlan, plan_even_batches
from mmrerank.engine.report import PlanReport
from mmrerank.engine.weights import fingerprint
from mmrerank.errors import EngineError, Stopped, shorten
from mmrerank.heads import Head
from mmrerank.models.architectures import LAST_LAYER
from mmrerank.models.vendors_code import runs_vendors_code
from mmrerank.types import EncodedGroup

__all__ = ["OpenVINOEngine"]

logger = logging.getLogger(__name__)

# Of one batch; docs/experiments.md has the figures.
_TOKENS = 1_536


class OpenVINOEngine:
    """Padded rows of text, as many batches at a time as OpenVINO has streams.

    torch_engine: the model's engine without OpenVINO. It runs what OpenVINO cannot: a model on
    another device, in train mode, or whose weights may change unseen.

    Raises EngineError, at birth, for a model that is no text encoder of the BERT kind.
    """

    def __init__(self, torch_engine: Engine, model: Any, head: Head, backend: OpenVINO) -> None:
        _refuse_unless_bert(model, head)
        self._torch_engine = torch_engine
        self._model = model
        self._backend = backend
        self._limit = TokenLimit()
        self._has_warned = False

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Batches:
        """See `Engine.run`."""
        weights = fingerprint(self._model)
        if reason := _why_not(weights, device):
            self._warn_once(reason)
            self._backend.forget()
            yield from self._torch_engine.run(
                groups, features, budget=budget, device=device, should_stop=should_stop
            )
            return
        work = _Work(groups, self._backend.encoder(self._model.base_model, weights), self._model)
        waiting = list(range(len(groups)))
        while waiting:
            plans = self._plans([groups[row].num_tokens for row in waiting], budget, device)
            done: set[int] = set()
            with closing(work.run(plans, waiting, should_stop)) as outcomes:
                for rows, made in outcomes:
                    if isinstance(made, TooLarge):
                        self._limit.shrink(made, device)
                        break
                    yield rows, made
                    done.update(rows)
            waiting = [row for row in waiting if row not in done]

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """See `Engine.explain`; padding counts as computed."""
        if _why_not(fingerprint(self._model), device):
            return self._torch_engine.explain(groups, features, budget, device)
        plans = self._plans([group.num_tokens for group in groups], budget, device)
        return PlanReport(
            runner="openvino",
            num_prompts=len(groups),
            num_tokens=sum(group.num_tokens for group in groups),
            num_computed=sum(plan.num_tokens for plan in plans),
            num_cached=0,
            num_batches=len(plans),
            num_media=len(features),
            num_media_cached=0,
        )

    def _plans(self, lengths: Sequence[int], budget: TokenBudget, device: Any) -> list[BatchPlan]:
        wanted = replace(budget, max_tokens=budget.max_tokens or _TOKENS)
        limits = self._limit.budget(wanted, device)
        return plan_even_batches(lengths, limits, num_lanes=self._backend.num_streams)

    def _warn_once(self, reason: str) -> None:
        if not self._has_warned:
            logger.warning("backend='openvino': torch runs the model, for %s", reason)
        self._has_warned = True


class _Work:
    """The prompts of a call, on their way through a compiled encoder."""

    def __init__(
        self, groups: Sequence[EncodedGroup], encoder: CompiledEncoder, model: Any
    ) -> None:
        self._groups = groups
        self._encoder = encoder
        self._dtype = next(model.base_model.parameters()).dtype
        embeddings = model.base_model.embeddings
        self._first_position = first_position(model.config)
        self._num_ids = len(embeddings.word_embeddings.weight)
        self._num_types = len(embeddings.token_type_embeddings.weight)
        self._most_tokens = len(embeddings.position_embeddings.weight) - self._first_position

    def run(
        self, plans: Sequence[BatchPlan], prompts: Sequence[int], should_stop: ShouldStop
    ) -> Generator[tuple[tuple[int, ...], Tensor | TooLarge], None, None]:
        """The outcomes of batches in their order, while later ones are at work.

        prompts: which ones were planned. Batches that were started when `should_stop` says yes are
        given out before Stopped is raised; when the caller ends, they are dropped.
        """
        at_work: deque[_Started] = deque()
        stopped = None
        try:
            for plan in plans:
                try:
                    check(should_stop)
                except Stopped as error:
                    stopped = error
                    break
                rows = tuple(prompts[place] for place in plan.rows)
                at_work.append(_Started(rows, plan.num_tokens, self._start(rows, plan.num_tokens)))
                # A stream that is done finds its next batch without waiting for this thread.
                if len(at_work) > 2 * self._encoder.num_streams:
                    yield self._outcome(at_work.popleft())
            while at_work:
                yield self._outcome(at_work.popleft())
        finally:
            for started in at_work:
                if not isinstance(started.request, TooLarge):
                    self._encoder.drop(started.request)
        if stopped is not None:
            raise stopped

    def _start(self, rows: Sequence[int], num_tokens: int) -> Any:
        inputs = self._inputs([self._groups[row] for row in rows])
        return attempt(partial(self._encoder.start, inputs), num_tokens, len(rows))

    def _outcome(self, started: _Started) -> tuple[tuple[int, ...], Tensor | TooLarge]:
        if isinstance(started.request, TooLarge):
            return started.rows, started.request
        made = attempt(
            partial(self._encoder.finish, started.request), started.num_tokens, len(started.rows)
        )
        if isinstance(made, TooLarge):
            return started.rows, made
        return started.rows, torch.from_numpy(made).to(self._dtype)

    def _inputs(self, groups: Sequence[EncodedGroup]) -> list[np.ndarray]:
        """What the exported graph takes, in its order."""
        lengths = np.array([group.num_tokens for group in groups], dtype=np.int64)
        ids = np.zeros((len(groups), max(lengths)), dtype=np.int64)
        types = np.zeros_like(ids)
        for row, group in enumerate(groups):
            ids[row, : group.num_tokens] = group.token_ids
            if group.token_type_ids is not None:
                types[row, : group.num_tokens] = group.token_type_ids
        self._check(ids, types)
        positions = np.arange(ids.shape[1], dtype=np.int64)[None] + self._first_position
        read_at = np.array([group.read_at[0] for group in groups], dtype=np.int64)
        return [ids, types, positions, lengths, read_at]

    def _check(self, ids: np.ndarray, types: np.ndarray) -> None:
        """Raise EngineError for what is in no table of the model: OpenVINO would read zeros."""
        if ids.shape[1] > self._most_tokens:
            raise EngineError(
                f"a prompt of {ids.shape[1]:,} tokens is too long for a model with positions for "
                f"{self._most_tokens:,}. Lower max_length."
            )
        for name, found, num_known in (
            ("token id", ids, self._num_ids),
            ("token type", types, self._num_types),
        ):
            if found.max() >= num_known:
                raise EngineError(
                    f"the tokenizer gives the {name} {found.max()}, the model has embeddings for "
                    f"{num_known:,}: they do not belong together."
                )


@dataclass(frozen=True, slots=True)
class _Started:
    """A batch at work. request: TooLarge where memory did not suffice to start it."""

    rows: tuple[int, ...]
    num_tokens: int
    request: Any


def _why_not(weights: object, device: Any) -> str:
    """Why OpenVINO does not run the model as it is now; "" when it does."""
    if torch.device(device).type != "cpu":
        return f"it is on {device}; OpenVINO runs it on the CPU"
    if weights is None:
        return "it is in train mode, or its weights were made in inference mode"
    return ""


def _refuse_unless_bert(model: Any, head: Head) -> None:
    text_model = model.base_model
    model_type = model.config.model_type
    takes = sorted(name for name, kind in LAST_LAYER.items() if kind == "bert")
    is_bert = model_type in takes and not runs_vendors_code(model)
    reads_one = head.reads == "position" and head.list_logits is None
    if is_bert and reads_one and not text_model.config.is_decoder:
        return
    what = f"a model of type {shorten(model_type)}"
    if is_bert:
        what += ", which reads from left to right" if reads_one else f" read by {head.reads}"
    raise EngineError(
        f"backend='openvino' takes text encoders of the types {', '.join(takes)} that are scored "
        f"from the state of one token; this is {what}. Use backend='torch'."
    )
