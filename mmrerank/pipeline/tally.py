"""What a call could not read, counted for one warning at its end."""

from __future__ import annotations

from dataclasses import dataclass

from mmrerank.types import DocumentError, Score

__all__ = ["CutTally"]


@dataclass(slots=True)
class CutTally:
    """Documents of a call, those that were cut, and what they lost: tokens and seconds of sound."""

    num_documents: int = 0
    num_cut: int = 0
    num_tokens: int = 0
    cut_s: float = 0.0

    def add(self, result: Score | DocumentError) -> None:
        """Count one result."""
        self.num_documents += 1
        if isinstance(result, Score) and result.is_cut:
            self.num_cut += 1
            self.num_tokens += result.num_truncated
            self.cut_s += result.cut_s

    def warning(self) -> str:
        """The sentence for the user; "" when nothing was cut."""
        if not self.num_cut:
            return ""
        lost = [f"{self.num_tokens:,} tokens"] if self.num_tokens else []
        lost += [f"{self.cut_s:,.1f} s of sound"] if self.cut_s else []
        return (
            f"{self.num_cut:,} of {self.num_documents:,} documents were longer than the model "
            f"takes and were cut: {' and '.join(lost)} were not read. The details of the result "
            "say which. Raise max_length to keep more text."
        )
