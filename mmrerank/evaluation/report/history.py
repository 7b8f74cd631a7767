"""The log of a training run, from the file that checkpoints hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmrerank.errors import InputError, shorten

__all__ = ["read_log_history"]


def read_log_history(path: str | Path) -> list[dict[str, Any]]:
    """The log_history of a trainer_state.json, or of the folder that holds one.

    Raises InputError for a file that is missing or is none.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "trainer_state.json"
    try:
        state = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON ({error})") from error
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise InputError(f"{path}: no trainer_state.json; log_history is {shorten(history)}.")
    return history
