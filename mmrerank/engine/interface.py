"""What every engine offers, and what a user sets of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from torch import Tensor

from mmrerank.engine.budget import TokenBudget
from mmrerank.engine.report import PlanReport
from mmrerank.errors import Stopped
from mmrerank.prompting import MediaFeature
from mmrerank.types import EncodedGroup, MediaKey

__all__ = ["Batches", "Engine", "EngineCaches", "Features", "ShouldStop", "check"]

Features: TypeAlias = Mapping[MediaKey, MediaFeature]
ShouldStop: TypeAlias = Callable[[], bool] | None
# The places of a batch's prompts, and their states (num_read, dim): a row for each of `read_at`.
Batches: TypeAlias = Iterator[tuple[Sequence[int], Tensor]]


@dataclass(frozen=True, slots=True)
class EngineCaches:
    """What is kept between calls; 0 keeps nothing.

    max_media_bytes: of tower states. max_prefix_bytes: of keys and values of prompts' beginnings.
    max_weight_bytes: of weights in the order that a processor's library reads them in; a model that
    has more keeps none.
    """

    max_media_bytes: int = 256 << 20
    max_prefix_bytes: int = 256 << 20
    max_weight_bytes: int = 512 << 20


class Engine(Protocol):
    """The narrow waist: prompts in; batch by batch their places and states out."""

    def run(
        self,
        groups: Sequence[EncodedGroup],
        features: Features,
        *,
        budget: TokenBudget,
        device: Any,
        should_stop: ShouldStop = None,
    ) -> Batches:
        """Which prompts a batch held, and their states (num_read, dim).

        A batch that does not fit into memory is split, and so are those after it.
        Raises Stopped when `should_stop` answers True before a batch; EngineError when one prompt
        alone does not fit into memory.
        """

    def explain(
        self, groups: Sequence[EncodedGroup], features: Features, budget: TokenBudget, device: Any
    ) -> PlanReport:
        """What `run` would do now; nothing is computed."""


def check(should_stop: ShouldStop) -> None:
    """Raises Stopped when the caller wants no more."""
    if should_stop is not None and should_stop():
        raise Stopped("scoring was stopped by should_stop before all pairs were scored")
