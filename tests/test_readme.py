"""Every code block of README.md runs as it stands there, with the model in the package."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

ROWS = [
    {"query": "a red circle", "positive": "a circle in red", "negative": "a blue circle"},
    {"query": "a green star", "positive": "a star, green", "negative": "a red star"},
]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```([^\n]*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PYTHON = [body for language, body in BLOCKS if language == "python"]
COMMANDS = [
    line for _, body in BLOCKS for line in body.splitlines() if line.startswith("mmrerank ")
]


@pytest.fixture(autouse=True)
def _beside_the_fixtures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the root, but what is written there is thrown away."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    monkeypatch.chdir(tmp_path)


def test_readme_has_blocks_and_commands():
    assert len(PYTHON) >= 5
    assert len(COMMANDS) >= 7


def test_python_blocks_run_one_after_the_other():
    namespace: dict[str, Any] = {}  # the blocks build on each other, as a reader's session does
    for body in PYTHON:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile(body, "README.md", "exec"), namespace)
        assert shown.getvalue().strip(), f"prints nothing:\n{body}"


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_readme_ends_well(command: str, tmp_path: Path, capsys):
    from mmrerank.cli.main import main

    pair = {"query": "a red circle", "document": "a circle"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    for name in ("train.jsonl", "dev.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    # The names stand for a large and a small model, of which none is here.
    command = command.replace("LARGE SMALL", "tiny-omni tiny-omni")
    code = main(shlex.split(command)[1:])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert shown.out or (tmp_path / "scores.jsonl").read_text()


def test_two_commands_of_the_first_screen_are_targets_of_the_makefile():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"`?make ([a-z-]+)", README)
    assert set(named) <= set(targets)
    assert {"demo", "test"} <= set(named)
