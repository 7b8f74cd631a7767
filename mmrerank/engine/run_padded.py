"""The engine of padded rows, which runs every architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, Features, ShouldStop, check
from mmrerank.engine.memory import TokenLimit, TooLarge, attempt
from mmrerank.engine.plan import plan_batches
from mmrerank.engine.report import PlanReport
from mmrerank.locks import CopyableLock
from mmrerank.types import EncodedGroup

__all__ = ["PaddedEngine"]


class RowRunner(Protocol):
    """Runs one batch of padded rows."""

    def run(self, groups: Sequence[EncodedGroup], features: Features, device: Any) -> Tensor:
        """Returns (num_documents, dim) in the order of the groups and their scoring positions."""


class PaddedEngine:
    """One row a prompt, rows of similar length together.

    One thread at a time is on the model: some models keep positions of the last call on themselves.
    """

    def __init__(self, runner: RowRunner) -> None:
        self._runner = runner
        self._limit = TokenLimit()
        self._lock = CopyableLock()

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
        waiting = list(range(len(groups)))
        while waiting:
            done: set[int] = set()
            limits = self._limit.budget(budget, device)
            for plan in plan_batches([groups[row].num_tokens for row in waiting], limits):
                check(should_stop)
                rows = [waiting[place] for place in plan.rows]
                states = self._states([groups[row] for row in rows], features, device)
                if isinstance(states, TooLarge):
                    self._limit.shrink(states, device)
                    break
                yield tuple(rows), states
                done.update(rows)
            waiting = [row for row in waiting if row not in done]

    def _states(
        self, groups: Sequence[EncodedGroup], features: Features, device: Any
    ) -> Tensor | TooLarge:
        num_tokens = len(groups) * max(group.num_tokens for group in groups)
        with self._lock, torch.inference_mode():
            return attempt(
                lambda: self._runner.run(groups, features, device), num_tokens, len(groups)
            )

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """See `Engine.explain`; padding counts as computed."""
        limits = self._limit.budget(budget, device)
        plans = plan_batches([group.num_tokens for group in groups], limits)
        return PlanReport(
            runner="padded",
            num_prompts=len(groups),
            num_tokens=sum(group.num_tokens for group in groups),
            num_computed=sum(plan.num_tokens for plan in plans),
            num_cached=0,
            num_batches=len(plans),
            num_media=len(features),
            num_media_cached=0,
        )
