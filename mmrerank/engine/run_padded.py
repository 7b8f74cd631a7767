"""The engine of padded rows, which runs every architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, Features, ShouldStop, check
from mmrerank.engine.memory import TokenLimit, TooLarge, attempt
from mmrerank.engine.plan import BatchPlan, plan_batches
from mmrerank.engine.report import PlanReport
from mmrerank.locks import CopyableLock
from mmrerank.types import EncodedGroup

__all__ = ["PaddedEngine", "RowBatches"]

T = TypeVar("T")


class RowRunner(Protocol):
    """Runs one batch of padded rows."""

    def run(self, groups: Sequence[EncodedGroup], features: Features, device: Any) -> Tensor:
        """Returns (num_documents, dim) in the order of the groups and their scoring positions."""


class RowBatches:
    """Rows of similar length together, within the limits of a device, which it learns.

    One thread at a time is on the model: some models keep positions of the last call on themselves.
    """

    def __init__(self) -> None:
        self._limit = TokenLimit()
        self._lock = CopyableLock()

    def run(
        self,
        lengths: Sequence[int],
        compute: Callable[[Sequence[int]], T],
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Iterator[tuple[tuple[int, ...], T]]:
        """The rows of each batch with what `compute` made of them. Raises as `Engine.run`.

        lengths: tokens of each row.
        """
        waiting = list(range(len(lengths)))
        while waiting:
            done: set[int] = set()
            for plan in self.plans([lengths[row] for row in waiting], budget, device):
                check(should_stop)
                rows = tuple(waiting[place] for place in plan.rows)
                with self._lock, torch.inference_mode():
                    made = attempt(partial(compute, rows), plan.num_tokens, len(rows))
                if isinstance(made, TooLarge):
                    self._limit.shrink(made, device)
                    break
                yield rows, made
                done.update(rows)
            waiting = [row for row in waiting if row not in done]

    def plans(self, lengths: Sequence[int], budget: TokenBudget, device: Any) -> list[BatchPlan]:
        """The batches that `run` would run."""
        return plan_batches(lengths, self._limit.budget(budget, device))


class PaddedEngine:
    """One row a prompt, rows of similar length together."""

    def __init__(self, runner: RowRunner) -> None:
        self._runner = runner
        self._batches = RowBatches()

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
        return self._batches.run(
            [group.num_tokens for group in groups],
            lambda rows: self._runner.run([groups[row] for row in rows], features, device),
            budget=budget,
            device=device,
            should_stop=should_stop,
        )

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """See `Engine.explain`; padding counts as computed."""
        plans = self._batches.plans([group.num_tokens for group in groups], budget, device)
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
