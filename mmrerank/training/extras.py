"""Libraries that only training needs, asked for by the name of the extra."""

from __future__ import annotations

from importlib.util import find_spec

from mmrerank.errors import MissingExtra

__all__ = ["require"]


def require(*modules: str, to: str) -> None:
    """Raise MissingExtra unless all these modules are installed.

    to: completes "… is needed to …", such as "train a model".
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{' and '.join(missing)} must be installed to {to}: pip install 'mmrerank[train]'"
        )
