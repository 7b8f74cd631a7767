"""An architecture that is not listed as packed is tried both ways, once, before it scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.interface import Batches, Engine, Features, ShouldStop
from mmrerank.engine.packed import PackedRunner, Work
from mmrerank.engine.packing import pack_batches
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.prefix_tree import build_tree, flat_tree
from mmrerank.engine.report import PlanReport
from mmrerank.locks import CopyableLock
from mmrerank.types import EncodedGroup

__all__ = ["ProbingEngine", "gives_equal_states", "run_tokens"]

logger = logging.getLogger(__name__)

# Of the largest number; a segment that sees what it must not is off by far more.
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
_TOLERANCE_OF_HALF = 3e-2
_PROMPT_TOKENS = 128


class ProbingEngine:
    """The packed engine where the probe says that it gives the padded one's states.

    probe: asked at the first call, when the model is where it will run and out of training.
    """

    def __init__(
        self, packed: Engine, padded: Engine, probe: Callable[[Any], bool], name: str
    ) -> None:
        self._packed = packed
        self._padded = padded
        self._probe = probe
        self._name = name
        self._chosen: Engine | None = None
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
        return self.choose(device).run(
            groups, features, budget=budget, device=device, should_stop=should_stop
        )

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """See `Engine.explain`; before the first call of `run` that of padded rows."""
        return (self._chosen or self._padded).explain(groups, features, budget, device)

    def choose(self, device: Any) -> Engine:
        """The engine that runs this model, found out once."""
        with self._lock:
            if self._chosen is None:
                is_equal = self._probe(device)
                self._chosen = self._packed if is_equal else self._padded
                if not is_equal:
                    logger.warning(
                        "%s gives other states in packed rows, so its rows are padded: right, and "
                        "slower",
                        self._name,
                    )
            return self._chosen


def gives_equal_states(
    packed: PackedRunner, padded: PaddedRunner, *, shares: bool, vocab_size: int, device: Any
) -> bool:
    """Whether some prompts of chance tokens have the same states in packed and in padded rows."""
    groups = _prompts(vocab_size)
    tokens = [group.token_ids for group in groups]
    tree = build_tree(tokens) if shares else flat_tree([len(ids) for ids in tokens])
    (batch,) = pack_batches(tree, len(groups), TokenBudget(max_tokens=10_000))
    try:
        with torch.inference_mode():
            expected = padded.run(groups, {}, device)
            with packed.ready():
                states, _ = packed.run(Work(groups, tree, {}, {}), batch, {}, device)
    except Exception:  # an attention that does not go through the interface may raise anything
        logger.debug("packed rows cannot be run", exc_info=True)
        return False
    order = torch.tensor(batch.rows, device=device).argsort()
    difference = (states[order].float() - expected.float()).abs().max()
    limit = _TOLERANCE.get(expected.dtype, _TOLERANCE_OF_HALF)
    return bool(difference <= limit * max(1.0, float(expected.abs().max())))


def run_tokens(runner: PackedRunner, device: Any, num_tokens: int) -> None:
    """Run a batch of so many tokens, for what it takes; its states are let go."""
    lengths = [_PROMPT_TOKENS] * (num_tokens // _PROMPT_TOKENS)
    groups = [
        EncodedGroup(np.zeros(n, np.int64), score_at=(n - 1,), indices=(place,))
        for place, n in enumerate(lengths)
    ]
    tree = flat_tree(lengths)
    (batch,) = pack_batches(tree, len(groups), TokenBudget())
    with torch.inference_mode(), runner.ready():
        runner.run(Work(groups, tree, {}, {}), batch, {}, device)


def _prompts(vocab_size: int) -> list[EncodedGroup]:
    chance = np.random.default_rng(0)
    shared = chance.integers(0, vocab_size, 30)
    lengths = (40, 9, 150)
    rows = [np.concatenate([shared, chance.integers(0, vocab_size, n)]) for n in lengths]
    return [
        EncodedGroup(row.astype(np.int64), score_at=(len(row) - 1,), indices=(place,))
        for place, row in enumerate(rows)
    ]
