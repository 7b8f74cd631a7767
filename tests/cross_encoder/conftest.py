"""Tiny checkpoints, built once, and both libraries' models of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests import checkpoints
from tests.cross_encoder._chain import build_chain

BUILDERS: dict[str, Callable[..., Path]] = {
    "bert": checkpoints.build_bert,
    "bert-legacy": partial(checkpoints.build_bert, stored_activation="legacy"),
    "bert-no-activation": partial(checkpoints.build_bert, stored_activation="none"),
    "bert-st": partial(checkpoints.build_bert, with_st_files=True),
    "bert-nli": checkpoints.build_bert_nli,
    "electra": checkpoints.build_electra,
    "roberta": checkpoints.build_roberta,
    "xlm-roberta": checkpoints.build_xlm_roberta,
    "modernbert-mean": checkpoints.build_modernbert,
    "modernbert-cls": partial(checkpoints.build_modernbert, classifier_pooling="cls"),
    "deberta-v2": checkpoints.build_deberta_v2,
    "deberta-v2-nli": checkpoints.build_deberta_v2_nli,
    "qwen3": checkpoints.build_qwen3,
    "qwen3-plain": checkpoints.build_qwen3_plain,
    "qwen3-seq-cls": checkpoints.build_qwen3_seq_cls,
    "qwen3-vl": checkpoints.build_qwen3_vl,
    "qwen3-vl-legacy-json": partial(checkpoints.build_qwen3_vl, template_layout="legacy-json"),
    "qwen3-vl-one-template": checkpoints.build_qwen3_vl_one_template,
    "qwen3-vl-plain": checkpoints.build_qwen3_vl_plain,
    # Folder names as of the published repositories: our processor folders know them.
    "Qwen3-Reranker-0.6B": partial(checkpoints.build_qwen3_plain, chat_template="chat-roles"),
    "Qwen3-VL-Reranker-2B": checkpoints.build_qwen3_vl_plain,
    "llama": checkpoints.build_llama,
    "llama-without-yes-no": checkpoints.build_llama_without_yes_no,
    "qwen2-chatml": checkpoints.build_qwen2_chatml,
    "qwen2-known-roles": checkpoints.build_qwen2_known_roles,
    "chain": build_chain,
}

FolderOf = Callable[[str], Path]
ModelOf = Callable[[str], Any]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """On models this small more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """name -> folder of the checkpoint, built at first use; tests that change files copy it."""
    root = tmp_path_factory.mktemp("checkpoints")
    return cache(lambda name: BUILDERS[name](root / name))


@pytest.fixture(scope="session")
def ours_of(folder_of: FolderOf) -> ModelOf:
    """name -> our model, shared between tests that do not change it."""
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


@pytest.fixture(scope="session")
def peer_of(folder_of: FolderOf) -> ModelOf:
    """name -> the peer's model, shared between tests that do not change it."""
    return cache(lambda name: Peer(str(folder_of(name)), device="cpu"))


@pytest.fixture
def copy_of(folder_of: FolderOf, tmp_path: Path) -> FolderOf:
    """name -> a copy of the checkpoint that the test may change; the folder keeps its name."""
    return lambda name: Path(shutil.copytree(folder_of(name), tmp_path / "copy" / name))
