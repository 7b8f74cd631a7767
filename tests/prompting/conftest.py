"""Tiny checkpoints and loaded pairs, for the tests of prompting."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mmrerank import CrossEncoder
from tests import checkpoints

_BUILDERS: dict[str, Callable[..., Path]] = {
    "bert": checkpoints.build_bert,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "llama": checkpoints.build_llama,
    # By the name of the folder: the processor folders decide.
    "Qwen3-Reranker-0.6B": checkpoints.build_qwen3_plain,
    "Qwen3-VL-Reranker-2B": checkpoints.build_qwen3_vl_plain,
}


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """name -> folder of the tiny checkpoint, built at first use."""
    root = tmp_path_factory.mktemp("prompting")
    return cache(lambda name: _BUILDERS[name](root / name))


@pytest.fixture(scope="session")
def model_of(folder_of: Callable[[str], Path]) -> Callable[[str], Any]:
    """name -> model of the tiny checkpoint, loaded at first use."""
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))
