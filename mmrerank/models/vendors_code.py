"""Whether a model's class comes from the checkpoint's own Python files."""

from __future__ import annotations

from typing import Any

__all__ = ["is_vendors_class", "runs_vendors_code"]

# Where transformers puts the modules that it imports with trust_remote_code.
_PACKAGE = "transformers_modules."


def runs_vendors_code(model: Any) -> bool:
    """True for a class that is not transformers' own, whatever its name and model_type say.

    Vendors give their classes names that transformers has too, with another computation inside.
    """
    return is_vendors_class(type(model))


def is_vendors_class(cls: type) -> bool:
    """The same of a class: of a config, a model or one of its modules."""
    return cls.__module__.startswith(_PACKAGE)
