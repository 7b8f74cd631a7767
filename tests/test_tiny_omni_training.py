"""The recipe of tiny-omni on this project's trainer: a few steps of each stage, and going on."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from examples.train_tiny_omni.bank import BankSize, Task, make_bank
from examples.train_tiny_omni.batches import Media
from examples.train_tiny_omni.drawing import ALL_SORTS, DrawMedia, DrawPairs
from examples.train_tiny_omni.tokenizer import train_tokenizer
from examples.train_tiny_omni.train import main
from examples.train_tiny_omni.world import Scene, all_scenes
from mmrerank import CrossEncoder

ROOT = Path(__file__).parents[1]
SETTINGS = ["--steps", "4", "1", "4", "--checkpoint-steps", "2", "--log-steps", "1",
            "--held-out-pairs", "1"]  # fmt: skip


def noise(sort: str, rng: np.random.Generator) -> Media:
    if "sound" in sort:
        return Media("audio", rng.standard_normal((80, 40)).astype(np.float32))
    frames = rng.integers(0, 256, (4 if sort in ("clip", "changes") else 1, 3, 64, 64), np.uint8)
    return Media("image" if len(frames) == 1 else "video", frames)


def write_bank(path: Path) -> None:
    """One medium of noise for each training scene, where the recipe looks for its own."""
    scenes = [all_scenes(kind, held_out=False) for kind in ("picture", "clip", "sound")]
    tasks: list[Task] = [("scene", scene, ()) for scene in chain(*scenes)]
    tasks += [(f"unrelated_{kind}", None, ()) for kind in ("pictures", "sounds")]
    tasks.append(("changes", (scenes[1][0], scenes[1][9]), ()))
    rng = np.random.default_rng(0)
    media = [noise(what.kind if isinstance(what, Scene) else sort, rng) for sort, what, _ in tasks]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps((tasks, media)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiny_omni")
    write_bank(out / "bank.pkl")
    main(["--out", str(out), *SETTINGS])
    return out


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def steps_of(checkpoint: Path) -> list[dict[str, Any]]:
    history = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
    return [entry for entry in history if "loss" in entry]


def largest_gap(first: dict[str, Tensor], second: dict[str, Tensor], part: str = "") -> float:
    names = [name for name in first if part in name]
    assert names
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in names)


def test_first_stage_changes_the_towers_and_leaves_the_language_model(finished):
    start, after = weights_of(finished / "start"), weights_of(finished / "towers/checkpoint-4")
    assert largest_gap(start, after, "visual.") > 1e-3
    assert largest_gap(start, after, "audio_tower.") > 1e-3
    assert largest_gap(start, after, "model.layers.") == 0


def test_last_stage_logs_each_part_of_the_loss_and_attributes_once_the_towers_learn(finished):
    steps = steps_of(finished / "all/checkpoint-4")
    assert len(steps) == 4
    for entry in steps:
        parts = [entry[name] for name in ("yes_no", "ranking", "caption")]
        parts.append(entry.get("attributes", 0.0))
        assert sum(parts) == pytest.approx(entry["loss"], abs=1e-2)
        assert entry["caption"] > 1
    assert [entry.get("attributes", 0.0) > 1 for entry in steps] == [False, False, True, True]


def test_towers_are_still_in_the_first_half_of_the_last_stage(finished):
    before, middle = weights_of(finished / "text/checkpoint-1"), finished / "all/checkpoint-2"
    assert largest_gap(before, weights_of(middle), "visual.") == 0
    assert largest_gap(before, weights_of(finished / "all/checkpoint-4"), "visual.") > 1e-4


def test_held_out_accuracy_is_logged_with_each_checkpoint(finished):
    history = json.loads((finished / "all/checkpoint-4/trainer_state.json").read_text())
    evaluations = [e for e in history["log_history"] if "eval_text-picture" in e]
    assert [entry["step"] for entry in evaluations] == [2, 4]


def test_model_of_a_run_is_its_best_checkpoint_in_half_precision(finished):
    history = json.loads((finished / "all/checkpoint-4/trainer_state.json").read_text())
    means = [entry["eval_mean"] for entry in history["log_history"] if "eval_mean" in entry]
    steps = (2, 4) if means[0] >= means[1] else (4, 2)
    best, other = (weights_of(finished / f"all/checkpoint-{step}") for step in steps)
    model = weights_of(finished / "model")
    assert {tensor.dtype for tensor in model.values()} == {torch.float16}
    assert largest_gap(best, model) < 1e-3 < largest_gap(other, model)


def test_model_and_checkpoints_load_and_score_a_picture(finished):
    picture = np.zeros((64, 64, 3), np.uint8)
    for folder in ("model", "all/checkpoint-2"):
        scores = CrossEncoder(str(finished / folder), device="cpu").predict(
            [("a red circle", {"image": picture}), ("a red circle", "a blue square")]
        )
        assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "lost",
    [
        ["model", "all", "text", "towers/checkpoint-4"],
        ["model", "all", "text/checkpoint-1"],
        ["model", "all/checkpoint-4"],
        ["model"],
    ],
    ids=["towers", "text", "all", "end"],
)
def test_run_that_goes_on_ends_in_the_same_weights(lost, finished, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    for name in lost:
        shutil.rmtree(out / name)
    main(["--out", str(out), "--resume", *SETTINGS])
    assert largest_gap(weights_of(finished / "model"), weights_of(out / "model")) < 2e-4


def test_folder_of_another_run_is_refused_without_resume(finished, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(finished), *SETTINGS])
    assert "pass --resume to go on, or another --out" in capsys.readouterr().err


def test_run_can_start_at_the_shipped_weights(finished, tmp_path):
    write_bank(tmp_path / "bank.pkl")
    main(["--out", str(tmp_path), "--start", "tiny-omni", "--steps", "0", "0", "2",
          "--lr", "1e-6", "--log-steps", "1", "--held-out-pairs", "1"])  # fmt: skip
    shipped = weights_of(ROOT / "mmrerank/checkpoints/tiny-omni")
    assert 0 < largest_gap(shipped, weights_of(tmp_path / "all/checkpoint-2")) < 1e-4
    # Heads that nothing has trained would only disturb the towers.
    assert "attributes" not in steps_of(tmp_path / "all/checkpoint-2")[-1]


def test_number_of_a_row_decides_what_is_drawn_whatever_came_before(finished):
    bank = make_bank(finished / "bank.pkl", BankSize())
    draw, other = (DrawPairs(bank, train_tokenizer(), ALL_SORTS, seed=3) for _ in range(2))
    rows = [{"row": number} for number in range(44)]
    first = draw(rows[22:])["batches"]
    other(rows[:22])
    second = other(rows[22:])["batches"]
    for one, same in zip(first, second, strict=True):
        assert torch.equal(one.input_ids, same.input_ids)
        assert [id(medium) for medium in one.media] == [id(medium) for medium in same.media]
    assert not torch.equal(first[0].input_ids, draw(rows[:22])["batches"][0].input_ids)


def test_towers_see_vision_first_and_all_kinds_in_each_step(finished):
    bank = make_bank(finished / "bank.pkl", BankSize())
    draw = DrawMedia(bank, seed=0)
    media = draw([{"row": number} for number in range(draw.batch_size)])["media"]
    kinds = [medium.kind for medium, _ in media]
    assert sorted(kinds, key=lambda kind: kind == "audio") == kinds
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "image": 29, "video": 12, "audio": 4,
    }  # fmt: skip
    assert sum(scene is None for _, scene in media) == 3


@pytest.mark.slow
def test_two_processes_train_one_model(finished, tmp_path):
    shutil.copy(finished / "bank.pkl", tmp_path)
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    recipe = ["examples.train_tiny_omni.train", "--out", str(tmp_path), *SETTINGS]
    command = [sys.executable, "-m", *launcher, "-m", *recipe]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(steps_of(tmp_path / "all/checkpoint-4")) == 4
    # Each step saw twice as much as one process would have.
    assert largest_gap(weights_of(finished / "model"), weights_of(tmp_path / "model")) > 1e-4
