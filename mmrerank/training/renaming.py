"""Old names of arguments."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["renamed"]

F = TypeVar("F", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[F], F]:
    """Take an argument under its old name too, and say so; the new name wins over the old.

    names: new name by old name.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            for old, new in names.items():
                if old in kwargs:
                    warnings.warn(
                        f"The `{old}` argument was renamed and is now deprecated. Please use "
                        f"`{new}` instead.",
                        FutureWarning,
                        stacklevel=2,
                    )
                    kwargs.setdefault(new, kwargs.pop(old))
            return function(*args, **kwargs)

        return cast("F", wrapper)

    return decorate
