"""Which prompts run together. Pure integers: no torch, no tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmrerank.engine.budget import TokenBudget

__all__ = ["BatchPlan", "plan_batches"]


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One batch. rows: places of its prompts in the list that was planned. num_tokens: with
    padding.
    """

    rows: tuple[int, ...]
    num_tokens: int


def plan_batches(lengths: Sequence[int], budget: TokenBudget) -> list[BatchPlan]:
    """Group prompts of similar length into batches within the budget.

    lengths: tokens of each prompt. Returns batches that hold each place exactly once; equal lengths
    keep
    their order, so the same call gives the same batches.
    """
    # Longest first: what does not fit into memory shows up in the first batch, before an hour of
    # work is done.
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    batches: list[BatchPlan] = []
    rows: list[int] = []
    for place in order:
        longest = lengths[rows[0]] if rows else lengths[place]
        if rows and budget.is_exceeded(longest * (len(rows) + 1), len(rows) + 1):
            batches.append(BatchPlan(tuple(rows), longest * len(rows)))
            rows = []
        rows.append(place)
    if rows:
        batches.append(BatchPlan(tuple(rows), lengths[rows[0]] * len(rows)))
    return batches
