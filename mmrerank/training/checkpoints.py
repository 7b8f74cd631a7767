"""Checkpoints of a training run: which one to go on from, and taking its weights."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME

from mmrerank.errors import CheckpointError, InputError, shorten

__all__ = ["load_weights", "newest_complete"]

logger = logging.getLogger(__name__)

_NAME = re.compile(r"checkpoint-(\d+)")


def newest_complete(folder: str | Path) -> str:
    """The last checkpoint of a run that was written to its end.

    A run that is killed while it saves leaves a folder without the trainer's state, which is
    written last; such a folder is passed over. Raises InputError when there is no complete one.
    """
    for path in _newest_first(Path(folder)):
        if _is_complete(path):
            return str(path)
        logger.warning("%s was not written to its end and is passed over", path.name)
    raise InputError(
        f"resume_from_checkpoint=True: no complete checkpoint in {shorten(str(folder))}. Train "
        "without it, or name the folder of a checkpoint."
    )


def _newest_first(folder: Path) -> Iterator[Path]:
    steps = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if (match := _NAME.fullmatch(path.name)) and path.is_dir():
            steps[int(match[1])] = path
    yield from (path for _, path in sorted(steps.items(), reverse=True))


def _is_complete(path: Path) -> bool:
    try:
        json.loads((path / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def load_weights(model: Any, path: str) -> None:
    """Give the model the weights of a saved model of the same shape.

    Raises CheckpointError when the folder cannot be loaded or holds another model.
    """
    saved = type(model)(path, device="cpu", trust_remote_code=model.trust_remote_code)
    try:
        model.load_state_dict(saved.state_dict())
    except RuntimeError as error:
        raise CheckpointError(
            f"{shorten(path)} holds weights of another model than the one in training: {error}"
        ) from error
