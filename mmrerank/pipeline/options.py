"""What one call asks for, and how much of it is in memory at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mmrerank.engine import TokenBudget
from mmrerank.errors import InputError
from mmrerank.heads import Activation
from mmrerank.types import Pair

__all__ = ["CallOptions", "Names", "OnError", "Window", "rank_names"]

OnError: TypeAlias = Literal["raise", "record"]
Names: TypeAlias = Callable[[Pair], tuple[str, str]]


def _predict_names(pair: Pair) -> tuple[str, str]:
    return f"inputs[{pair.index}] (query)", f"inputs[{pair.index}] (document)"


def rank_names(pair: Pair) -> tuple[str, str]:
    return "query", f"documents[{pair.index}]"


@dataclass(frozen=True, slots=True)
class Window:
    """How much goes to the model at once: at most so many pairs, or about so many bytes of media
    tensors.
    """

    max_pairs: int = 256
    max_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What one call asks for.

    activation: None = the model's. on_error "record" puts a DocumentError in the place of a bad
    pair.
    should_stop is asked before each batch. names: how errors name the two sides of a pair.
    query_must_load: an error of the query is raised whatever on_error says.
    """

    budget: TokenBudget = field(default_factory=TokenBudget)
    activation: Activation | None = None
    apply_softmax: bool = False
    on_error: OnError = "raise"
    should_stop: Callable[[], bool] | None = None
    window: Window = Window()
    names: Names = field(default=_predict_names)
    query_must_load: bool = False

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "record"):
            raise InputError(f'on_error={self.on_error!r}: allowed are "raise" and "record"')
