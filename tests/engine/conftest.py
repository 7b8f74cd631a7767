"""Tiny checkpoints built once, for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from mmrerank import CrossEncoder
from tests import checkpoints

_BUILDERS: dict[str, Callable[..., Any]] = {
    "bert": checkpoints.build_bert,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "modernbert": checkpoints.build_modernbert,
    "roberta": checkpoints.build_roberta,
}


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], CrossEncoder]:
    """name -> a model of a tiny checkpoint, loaded at first use."""
    root = tmp_path_factory.mktemp("engine")
    return cache(lambda name: CrossEncoder(str(_BUILDERS[name](root / name)), device="cpu"))
