"""Rewrite the golden prompts: `python -m tests.families.update [name …]`; all without a name.

Look at the difference before it is committed: a changed prompt changes every score of the family.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.families.golden_prompts import rendered, write_golden
from tests.families.registry import FAMILIES, load_options

__all__ = ["main"]


def main(names: Sequence[str]) -> None:
    """Write the file of each named line of the registry."""
    for name in names or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = FAMILIES[name](Path(folder) / "model")
            write_golden(name, rendered(checkpoint, **load_options(name)))


if __name__ == "__main__":
    main(sys.argv[1:])
