"""Logits of pairs in a file that survives a kill: one line a pair, appended as they come."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ScoreCache"]

logger = logging.getLogger(__name__)


class ScoreCache:
    """Key -> logit, in a JSONL file that is read once and added to.

    path: made, with its folders, when the first logit is put. A line that a kill has cut short is
    left out; so is one that is damaged, with a warning.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._logits = self._read() if self.path.is_file() else {}

    def __len__(self) -> int:
        return len(self._logits)

    def __contains__(self, key: str) -> bool:
        return key in self._logits

    def get(self, key: str) -> float:
        """The logit. Raises KeyError where there is none."""
        return self._logits[key]

    def put(self, logits: Mapping[str, float]) -> None:
        """Keep these, and have them on disk before returning."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(
            json.dumps({"key": key, "logit": logit}) + "\n" for key, logit in logits.items()
        )
        # The line break in front ends a line that a kill may have cut short.
        start = "" if _ends_in_line_break(self.path) else "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(start + lines)
            file.flush()
            os.fsync(file.fileno())
        self._logits.update(logits)

    def _read(self) -> dict[str, float]:
        found: dict[str, float] = {}
        num_bad = 0
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                entry = _entry_of(line) if line.strip() else None
                num_bad += entry is None and bool(line.strip())
                found.update([entry] if entry else [])
        if num_bad:
            logger.warning(
                "%s: %d lines are no scores and are computed again (a run was stopped there)",
                self.path,
                num_bad,
            )
        return found


def _entry_of(line: str) -> tuple[str, float] | None:
    try:
        value: Any = json.loads(line)
        key, logit = str(value["key"]), float(value["logit"])
    except (ValueError, TypeError, KeyError):
        return None
    return (key, logit) if math.isfinite(logit) else None


def _ends_in_line_break(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
