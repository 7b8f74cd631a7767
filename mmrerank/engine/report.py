"""What the engine would do with some prompts, in numbers that a user can check."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PlanReport"]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """num_tokens: of all prompts, one by one. num_computed: that go through the language model.
    num_cached: whose states are held from earlier calls. The rest is saved: it stands in several
    prompts. num_media_cached: media whose tower states are held.
    """

    runner: str
    num_prompts: int
    num_tokens: int
    num_computed: int
    num_cached: int
    num_batches: int
    num_media: int
    num_media_cached: int

    @property
    def num_saved(self) -> int:
        """Tokens that are not computed again."""
        return self.num_tokens - self.num_computed
