"""Libraries that come with an extra: imported at the point of use, or named in the error."""

from __future__ import annotations

import importlib
from typing import Any

from mmrerank.errors import MissingExtra

__all__ = ["require"]


def require(module: str, *, to: str, extra: str = "train") -> Any:
    """The imported module. to: what it is needed for, such as "train a model".

    Raises MissingExtra, an ImportError, which names what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise MissingExtra(
            f"{name} is needed to {to}, and cannot be imported ({error}): "
            f"pip install 'mmrerank[{extra}]'",
            name=name,
        ) from error
