"""The loop: plan, run, give back states in the order of the prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.plan import BatchPlan, plan_batches
from mmrerank.errors import Stopped
from mmrerank.locks import CopyableLock
from mmrerank.prompting import MediaFeature
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["Engine", "Runner"]


class Runner(Protocol):
    """The narrow waist: a batch of prompts in, (num_documents, dim) states out."""

    def run(
        self, groups: Sequence[EncodedGroup], features: Mapping[MediaKey, MediaFeature], device: Any
    ) -> Tensor:
        """One forward pass."""


class Engine:
    """Runs encoded prompts within a budget.

    One thread at a time is on the model: some models keep positions of the last call on themselves.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = CopyableLock()

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Mapping[MediaKey, MediaFeature],
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: Callable[[], bool] | None = None,
    ) -> Iterator[tuple[BatchPlan, Tensor]]:
        """Batch by batch: which prompts it held, and their states (num_documents, dim) on the CPU's
        side of the head.

        Raises Stopped when `should_stop` answers True before a batch.
        """
        for plan in plan_batches([group.num_tokens for group in groups], budget):
            if should_stop is not None and should_stop():
                raise Stopped("scoring was stopped by should_stop before all pairs were scored")
            with self._lock, torch.inference_mode():
                states = self._runner.run([groups[row] for row in plan.rows], features, device)
            yield plan, states
