"""Tiny checkpoints in both libraries, and data that both evaluate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.checkpoints import build_bert, build_bert_nli, build_qwen3_vl

_BUILDERS: dict[str, Callable[..., Path]] = {
    "bert": build_bert,
    "bert-nli": build_bert_nli,
    "vl": build_qwen3_vl,
}

FolderOf = Callable[[str], Path]
ModelOf = Callable[[str], Any]


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """name -> folder of the checkpoint, built at first use."""
    root = tmp_path_factory.mktemp("evaluation")
    return cache(lambda name: _BUILDERS[name](root / name))


@pytest.fixture(scope="session")
def ours_of(folder_of: FolderOf) -> ModelOf:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


@pytest.fixture(scope="session")
def peer_of(folder_of: FolderOf) -> ModelOf:
    return cache(lambda name: Peer(str(folder_of(name)), device="cpu"))
