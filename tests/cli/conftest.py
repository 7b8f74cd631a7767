"""A command line run in this process, and tiny checkpoints to run it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkpoints import build_bert, build_qwen3_vl

MEDIA = Path(__file__).parents[2] / "fixtures" / "media"


@dataclass(frozen=True)
class Ran:
    """What one command left: its exit code, its results, its messages."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def _run(*arguments: object) -> Ran:
        from mmrerank.cli.main import main

        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return _run


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bert(tmp_path_factory.mktemp("cli") / "bert")


@pytest.fixture(scope="session")
def picture_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_qwen3_vl(tmp_path_factory.mktemp("cli") / "qwen3-vl")


@pytest.fixture
def media() -> Path:
    return MEDIA
