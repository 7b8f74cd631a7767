"""Libraries that evaluation needs and scoring does not; imported at the point of use."""

from __future__ import annotations

import importlib
from typing import Any

from mmrerank.errors import MissingExtra

__all__ = ["require"]


def require(module: str, *, extra: str = "train") -> Any:
    """The imported module. Raises MissingExtra, an ImportError, which names what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"evaluation needs {module.partition('.')[0]}, which cannot be imported ({error}): "
            f"pip install 'mmrerank[{extra}]'"
        ) from error
