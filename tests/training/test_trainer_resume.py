"""Runs that stop and go on, and runs in several processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError
from mmrerank.training.checkpoints import newest_complete
from tests import checkpoints
from tests.training import _runs as runs

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.build_bert(tmp_path_factory.mktemp("resume") / "bert")


def loss_of(losses: Any, model: Any) -> Any:
    return losses.BinaryCrossEntropyLoss(model)


@pytest.mark.parametrize("sampler", ["batch_sampler", "no_duplicates"])
@pytest.mark.parametrize("step", [4, 13], ids=["first epoch", "second epoch"])
def test_run_that_goes_on_ends_in_the_same_weights(
    sampler: str, step: int, bert: Path, tmp_path: Path
):
    options = {
        "max_steps": 20,
        "batch_sampler": sampler,
        "save_strategy": "steps",
        "save_steps": step,
        "save_total_limit": 5,
    }
    whole = runs.train(runs.OURS, bert, tmp_path, runs.pairs(), loss_of, **options)
    halfway = str(tmp_path / f"checkpoint-{step}")
    rest = runs.train(runs.OURS, bert, tmp_path, runs.pairs(), loss_of, resume=halfway, **options)
    assert runs.losses_of(rest) == runs.losses_of(whole)
    assert runs.worst_difference(rest.model, whole.model) == 0.0


def test_run_with_dropout_goes_on_with_the_same_random_numbers(bert: Path, tmp_path: Path):
    def run(resume: str | None) -> Any:
        model = CrossEncoder(str(bert), device="cpu")
        args = runs.arguments(runs.OURS, tmp_path, save_strategy="steps", save_steps=5)
        trainer = runs.OURS.trainer(
            model=model,
            args=args,
            train_dataset=runs.pairs(),
            loss=loss_of(runs.OURS.losses, model),
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(None)
    rest = run(str(tmp_path / "checkpoint-5"))
    assert runs.losses_of(rest) == runs.losses_of(whole)


def test_checkpoint_that_was_not_written_to_its_end_is_passed_over(
    bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    options = {"save_strategy": "steps", "save_steps": 4}
    whole = runs.train(runs.OURS, bert, tmp_path, runs.pairs(), loss_of, **options)
    shutil.rmtree(tmp_path / "checkpoint-10")
    (tmp_path / "checkpoint-8" / "trainer_state.json").write_text('{"cut": ')
    assert newest_complete(tmp_path).endswith("checkpoint-4")
    assert "checkpoint-8 was not written to its end" in caplog.text
    rest = runs.train(runs.OURS, bert, tmp_path, runs.pairs(), loss_of, resume=True, **options)
    assert runs.worst_difference(rest.model, whole.model) == 0.0


def test_no_checkpoint_to_go_on_from_is_an_error_that_says_so(tmp_path: Path):
    with pytest.raises(InputError, match="no complete checkpoint"):
        newest_complete(tmp_path / "nothing")


def test_checkpoint_of_another_model_is_refused(bert: Path, tmp_path: Path):
    other = checkpoints.build_electra(tmp_path / "electra")
    with pytest.raises(CheckpointError, match="another model"):
        runs.train(runs.OURS, bert, tmp_path, runs.pairs(), loss_of, resume=str(other))


# ------------------------------------------------------------ processes

_SCRIPT = """
import json, sys
from pathlib import Path
from tests.training import _runs as runs

base, folder, resume, steps = sys.argv[1:]
trainer = runs.train(
    runs.OURS, Path(base), Path(folder), runs.pairs(),
    lambda losses, model: losses.BinaryCrossEntropyLoss(model),
    resume=resume == "resume", max_steps=int(steps), save_strategy="steps", save_steps=2,
    save_total_limit=3,
)
if trainer.is_world_process_zero():
    weight = next(trainer.model.parameters()).double().sum().item()
    print("RESULT" + json.dumps({
        "losses": runs.losses_of(trainer),
        "weight": weight,
        "processes": trainer.accelerator.num_processes,
    }))
"""


def start(tmp_path: Path, launcher: list[str], *arguments: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.Popen(
        [sys.executable, *launcher, str(script), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err[-4000:]
    (line,) = [line for line in out.splitlines() if line.startswith("RESULT")]
    return json.loads(line.removeprefix("RESULT"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_run_that_is_killed_and_started_again_ends_with_the_same_loss(bert: Path, tmp_path: Path):
    steps = "60"
    whole = result_of(start(tmp_path, [], str(bert), str(tmp_path / "whole"), "new", steps))
    killed = start(tmp_path, [], str(bert), str(tmp_path / "killed"), "new", steps)
    try:
        while not list((tmp_path / "killed").glob("checkpoint-1?")):
            assert killed.poll() is None, killed.communicate()[1][-4000:]
            time.sleep(0.02)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    assert not (tmp_path / "killed" / "checkpoint-60").exists()
    rest = result_of(start(tmp_path, [], str(bert), str(tmp_path / "killed"), "resume", steps))
    assert rest == whole


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_train_as_one_does_with_twice_the_batch(bert: Path, tmp_path: Path):
    # What `accelerate launch` starts for several devices; on CPUs alone it asks for MPI instead.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    found = result_of(start(tmp_path, launcher, str(bert), str(tmp_path / "two"), "new", "4"))
    one = runs.train(
        runs.OURS,
        bert,
        tmp_path / "one",
        runs.pairs(),
        loss_of,
        max_steps=4,
        per_device_train_batch_size=8,
    )
    assert found["processes"] == 2
    assert found["losses"] == pytest.approx(runs.losses_of(one), abs=1e-4)
    assert len(set(found["losses"])) == 4
    pairs = [("What is known?", "The harbour."), ("Bread", "A clock")]
    saved = CrossEncoder(str(tmp_path / "two" / "checkpoint-4"), device="cpu")
    assert saved.predict(pairs) == pytest.approx(one.model.predict(pairs), abs=1e-3)
