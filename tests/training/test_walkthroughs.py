"""Public walk-throughs of training run with only the import changed, with equal results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import checkpoints

SCRIPTS = Path(__file__).parent / "usage_scripts"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without dropout, so that both libraries do the same."""
    folder = checkpoints.build_bert(tmp_path_factory.mktemp("walk") / "bert")
    config = json.loads((folder / "config.json").read_text())
    config.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def run(name: str, library: str, base: Path, folder: Path) -> Any:
    """What the script prints with its imports pointing to this library."""
    source = (SCRIPTS / name).read_text(encoding="utf-8")
    assert "from mmrerank" in source
    folder.mkdir()
    script = folder / name
    script.write_text(re.sub(r"\bmmrerank\b", library, source), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(base), str(folder)],
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "WANDB_DISABLED": "true",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_eight_support_pairs_are_learnt_in_four_steps(bert: Path, tmp_path: Path):
    ours = run("support_pairs.py", "mmrerank", bert, tmp_path / "ours")
    theirs = run("support_pairs.py", "sentence_transformers", bert, tmp_path / "peer")
    assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-4)
    relevant = [s for s, y in zip(ours["scores"], ours["labels"], strict=True) if y]
    unrelated = [s for s, y in zip(ours["scores"], ours["labels"], strict=True) if not y]
    assert min(relevant) > max(unrelated)


@pytest.mark.slow
def test_similarity_is_fitted_as_in_the_peer(bert: Path, tmp_path: Path):
    ours = run("similarity_with_fit.py", "mmrerank", bert, tmp_path / "ours")
    theirs = run("similarity_with_fit.py", "sentence_transformers", bert, tmp_path / "peer")
    # Ours tells of the end of an epoch too, here right after the same step's evaluation.
    assert [entry[1:] for entry in ours["seen"][::2]] == [entry[1:] for entry in theirs["seen"]]
    told = [entry[0] for entry in ours["seen"][::2]]
    assert told == pytest.approx([entry[0] for entry in theirs["seen"]], abs=1e-4)
    assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-4)
    assert ours["files"] == theirs["files"]
