"""Prompts made of blocks, and a model that runs them in packed and in padded rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmrerank.engine import EngineCaches, PaddedEngine, PaddedRunner, TokenBudget
from mmrerank.engine.build import build_engine
from mmrerank.heads import Head
from mmrerank.types import EncodedGroup, MediaSpan
from tests.engine._architectures import FIRST_WORD, VOCAB_SIZE, Architecture
from tests.engine._media import Medium

__all__ = ["BLOCK_LENGTHS", "ONE_BATCH", "BothWays", "largest_difference", "num_blocks"]

# Of text: too short to be shared, longer than the windows, longer than an attention unit.
BLOCK_LENGTHS = (1, 3, 8, 17, 30, 61, 140)
ONE_BATCH = TokenBudget(max_tokens=1_000_000, max_pairs=1_000)


def num_blocks(architecture: Architecture) -> int:
    """Texts first, then media."""
    return len(BLOCK_LENGTHS) + len(architecture.media)


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / max(1, |expected|), the largest: what has to stay below 1e-5."""
    assert found.shape == expected.shape
    return float(((found - expected).abs() / expected.abs().clamp(min=1.0)).max())


@dataclass(eq=False)
class BothWays:
    """A model in both engines."""

    architecture: Architecture
    model: Any
    padded: PaddedRunner = field(init=False)

    def __post_init__(self) -> None:
        self._head = Head("position", 1, to_logits=lambda states: states)
        self.padded = PaddedRunner(
            self.model, self._head, pad_id=1, token_types=self.architecture.token_types
        )
        chance = np.random.default_rng(0)
        words = [chance.integers(FIRST_WORD, VOCAB_SIZE, length) for length in BLOCK_LENGTHS]
        self._blocks: list[np.ndarray | Medium] = [*words, *self.architecture.media]

    def engine(self, *, max_cache_bytes: int = 0) -> Any:
        """The engine that such a model is given, with nothing held from before."""
        return build_engine(
            self.model,
            self._head,
            self.padded,
            token_types=self.architecture.token_types,
            caches=EngineCaches(max_cache_bytes, max_cache_bytes, max_cache_bytes),
        )

    def group(self, numbers: Sequence[int]) -> EncodedGroup:
        """A prompt of these blocks."""
        ids, spans = [], []
        num_tokens = 0
        for block in (self._blocks[number] for number in numbers):
            if isinstance(block, Medium):
                start = num_tokens + block.start
                spans.append(MediaSpan(start, block.end - block.start, block.key))
            ids.append(block.token_ids if isinstance(block, Medium) else block)
            num_tokens += len(ids[-1])
        num_types = self.architecture.num_types
        return EncodedGroup(
            np.concatenate(ids).astype(np.int64),
            score_at=(0 if self.architecture.scores_at == "first" else num_tokens - 1,),
            indices=(0,),
            media=tuple(spans),
            token_type_ids=np.arange(num_tokens) % num_types if num_types else None,
        )

    def states(self, engine: Any, groups: Sequence[EncodedGroup], budget: TokenBudget) -> Tensor:
        """(num_prompts, hidden_size) in the order of the prompts."""
        used = {span.key for group in groups for span in group.media}
        features = {m.key: m.feature for m in self.architecture.media if m.key in used}
        found: dict[int, Tensor] = {}
        for rows, states in engine.run(groups, features, budget=budget, device="cpu"):
            assert not found.keys() & set(rows), "a prompt was scored twice"
            found.update(zip(rows, states, strict=True))
        return torch.stack([found[row] for row in range(len(groups))])

    def padded_states(self, groups: Sequence[EncodedGroup]) -> Tensor:
        """The same from one padded batch."""
        return self.states(PaddedEngine(self.padded), groups, ONE_BATCH)
