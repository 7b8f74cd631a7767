"""Where processor folders live: in the installed package, in the source tree, at a path of the
user's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from mmrerank.errors import SpecError, shorten
from mmrerank.specs.read import PROCESSOR_FILE, read_processor
from mmrerank.specs.schema import ProcessorSpec

__all__ = ["find_processor", "list_processors", "processor_folders"]

_PACKAGE = Path(__file__).resolve().parent.parent


def processor_folders() -> list[Path]:
    """The folders that come with the package, by name.

    A wheel carries them as mmrerank/_processors; an editable install has no copy inside the
    package,
    so the source tree beside it is the second place.
    """
    for root in (_PACKAGE / "_processors", _PACKAGE.parent / "processors"):
        if root.is_dir():
            return sorted(path.parent for path in root.glob(f"*/{PROCESSOR_FILE}"))
    raise SpecError("the processor folders of the package are missing; reinstall mmrerank")


@lru_cache(maxsize=1)
def _read_all() -> tuple[ProcessorSpec, ...]:
    return tuple(read_processor(folder) for folder in processor_folders())


def list_processors() -> list[ProcessorSpec]:
    """Every processor that comes with the package, by name."""
    return list(_read_all())


def find_processor(name_or_path: str | Path) -> ProcessorSpec:
    """The processor of that name, or the folder at that path.

    Raises SpecError when there is neither.
    """
    path = Path(name_or_path)
    if os.path.isfile(path / PROCESSOR_FILE):  # Path.is_file raises for a name that is too long
        return read_processor(path)
    by_name = {spec.name: spec for spec in _read_all()}
    if str(name_or_path) in by_name:
        return by_name[str(name_or_path)]
    raise SpecError(
        f"processor={shorten(str(name_or_path))} is neither a folder with a "
        f"{PROCESSOR_FILE} nor one of: {_join(by_name)}. `mmrerank processors` lists them."
    )


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
