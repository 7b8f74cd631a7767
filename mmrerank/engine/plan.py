"""Which prompts run together. Pure integers: no torch, no tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmrerank.engine.budget import TokenBudget

__all__ = ["BatchPlan", "plan_batches", "plan_even_batches"]


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


def plan_even_batches(
    lengths: Sequence[int], budget: TokenBudget, *, num_lanes: int
) -> list[BatchPlan]:
    """As `plan_batches`, for batches that run `num_lanes` at a time: as many for each lane, of
    about the same size, so that all lanes end together.
    """
    fewest = plan_batches(lengths, budget)
    order = [row for batch in fewest for row in batch.rows]
    num = min(-(-len(fewest) // num_lanes) * num_lanes, len(order))
    while len(fewest) <= num <= len(order):
        batches = list(_even_parts(order, lengths, num))
        if not any(budget.is_exceeded(b.num_tokens, len(b.rows)) for b in batches if b.rows[1:]):
            return batches
        num += num_lanes
    return fewest


def _even_parts(order: Sequence[int], lengths: Sequence[int], num: int) -> Iterator[BatchPlan]:
    """`num` batches of about as many tokens each, none of them empty. order: longest first."""
    left = sum(lengths)
    start = 0
    for number in range(num, 0, -1):
        end, size = start + 1, lengths[order[start]]
        # To where the next prompt would lie more behind the even share than before it.
        while len(order) - end >= number and 2 * size + lengths[order[end]] <= 2 * left / number:
            size += lengths[order[end]]
            end += 1
        yield BatchPlan(tuple(order[start:end]), lengths[order[start]] * (end - start))
        start, left = end, left - size
