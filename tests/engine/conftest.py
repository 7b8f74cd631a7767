"""Tiny checkpoints built once, for the engine's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch

from mmrerank import CrossEncoder
from tests import checkpoints

_BUILDERS: dict[str, Callable[..., Any]] = {
    "bert": checkpoints.build_bert,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "modernbert": checkpoints.build_modernbert,
    "roberta": checkpoints.build_roberta,
}


@pytest.fixture(scope="module", autouse=True)
def _two_threads() -> Iterator[None]:
    """Batches run side by side only where there are two; `make test` leaves a process one."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], CrossEncoder]:
    """name -> a model of a tiny checkpoint, loaded at first use."""
    root = tmp_path_factory.mktemp("engine")
    return cache(lambda name: CrossEncoder(str(_BUILDERS[name](root / name)), device="cpu"))
