"""One tiny checkpoint in both libraries: a classifier and a language model with a yes/no head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests import checkpoints

BUILDERS = {
    "classifier": checkpoints.build_bert,
    "classes": checkpoints.build_bert_nli,
    "language-model": checkpoints.build_qwen3,
    "multimodal": checkpoints.build_qwen3_vl,
}

ModelOf = Callable[[str], Any]
TwinsOf = Callable[[str], tuple[Any, Any]]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """On models this small more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ours_of(tmp_path_factory: pytest.TempPathFactory) -> ModelOf:
    """name -> our model, without dropout; tests change no weights."""
    root = tmp_path_factory.mktemp("checkpoints")
    return cache(lambda name: CrossEncoder(str(BUILDERS[name](root / name)), device="cpu"))


@pytest.fixture(scope="session")
def twins_of(ours_of: ModelOf, tmp_path_factory: pytest.TempPathFactory) -> TwinsOf:
    """name -> (our model, the peer's model)."""
    root = tmp_path_factory.mktemp("peer")
    peer = cache(lambda name: Peer(str(BUILDERS[name](root / name)), device="cpu"))
    return lambda name: (ours_of(name), peer(name))
