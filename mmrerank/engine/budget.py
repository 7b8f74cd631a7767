"""How much goes to the model at once."""

from __future__ import annotations

from dataclasses import dataclass

from mmrerank.errors import InputError

__all__ = ["TokenBudget"]


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """Limits of one batch: tokens (of padded rows: rows · longest row) and pairs; one pair alone
    always fits.

    max_tokens: None leaves it to the engine, which knows the device. max_pairs: None sets no bound.
    """

    max_tokens: int | None = None
    max_pairs: int | None = None

    def __post_init__(self) -> None:
        if self.max_pairs is not None and self.max_pairs <= 0:
            raise InputError(f"batch_size must be a positive integer, got {self.max_pairs}.")
        if self.max_tokens is not None and self.max_tokens <= 0:
            raise InputError(f"max_tokens must be a positive integer, got {self.max_tokens}.")

    def is_exceeded(self, num_tokens: int, num_pairs: int) -> bool:
        """Whether so much is more than one batch may hold."""
        return (self.max_tokens is not None and num_tokens > self.max_tokens) or (
            self.max_pairs is not None and num_pairs > self.max_pairs
        )
