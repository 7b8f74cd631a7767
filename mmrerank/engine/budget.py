"""How much goes to the model at once."""

from __future__ import annotations

from dataclasses import dataclass

from mmrerank.errors import InputError

__all__ = ["TokenBudget"]


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """Limits of one batch: rows · longest row ≤ max_tokens, rows ≤ max_pairs. One pair alone always
    fits.
    """

    max_tokens: int = 8_192
    max_pairs: int = 32

    def __post_init__(self) -> None:
        if self.max_pairs <= 0:
            raise InputError(f"batch_size must be a positive integer, got {self.max_pairs}.")
        if self.max_tokens <= 0:
            raise InputError(f"max_tokens must be a positive integer, got {self.max_tokens}.")
