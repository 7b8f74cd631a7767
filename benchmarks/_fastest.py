"""Each library at its fastest on a processor: on OpenVINO and torch, in float32 and bfloat16."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import CrossEncoder as Peer

from benchmarks._measure import Times, time_in_turns
from benchmarks._report import Case, Target
from mmrerank import CrossEncoder

__all__ = ["ENVIRONMENT", "OpenVINOPeer", "fastest_of", "measure_fastest"]

_ROOT = Path(__file__).parents[1]
# `make bench` makes it; see _openvino_peer.py for why it is not ours.
ENVIRONMENT = _ROOT / ".venv-openvino"
_COMMAND = (str(ENVIRONMENT / "bin" / "python"), "-m", "benchmarks._openvino_peer")
_LEAST_RATIO = 1.25


class OpenVINOPeer:
    """Scores pairs of texts in a process of its own; what passes between the two is a line each.

    precision: "f32" or "bf16".
    """

    def __init__(
        self, checkpoint: str, pairs: Sequence[tuple[str, str]], folder: Path, precision: str
    ) -> None:
        file = folder / "pairs.json"
        file.write_text(json.dumps(list(pairs)), encoding="utf-8")
        threads = str(torch.get_num_threads())
        self._process = subprocess.Popen(
            [*_COMMAND, checkpoint, precision],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"},
        )
        self._ask({"pairs": str(file)})

    def __call__(self) -> np.ndarray:
        """Score the pairs: (num_pairs,)."""
        return np.asarray(self._ask({})["scores"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("{"):  # the exporter writes to standard output as well
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise SystemExit(f"{ENVIRONMENT}: the peer ended with {self._process.wait()}")


def measure_fastest(
    checkpoint: str, pairs: Sequence[tuple[str, str]], folder: Path, num_rounds: int
) -> Case | None:
    """The row of the table, or None where the peer's environment is not there."""
    if not (ENVIRONMENT / "bin" / "python").exists():
        print(f"each at its fastest: not measured, no {ENVIRONMENT.name} (make bench makes it)")
        return None
    half: dict[str, Any] = {"device": "cpu", "model_kwargs": {"dtype": "bfloat16"}}
    models = {
        "peer, torch bf16": Peer(checkpoint, **half),
        "ours, torch bf16": CrossEncoder(checkpoint, **half),
        "ours, torch f32": CrossEncoder(checkpoint, device="cpu"),
        "ours, OpenVINO bf16": CrossEncoder(checkpoint, backend="openvino", **half),
        "ours, OpenVINO f32": CrossEncoder(checkpoint, backend="openvino", device="cpu"),
    }
    processes = {
        f"peer, OpenVINO {precision}": OpenVINOPeer(checkpoint, pairs, folder, precision)
        for precision in ("bf16", "f32")
    }
    contestants: dict[str, Callable[[], Any]] = {**processes}
    for name, model in models.items():
        contestants[name] = lambda model=model: model.predict(list(pairs))
    found = {name: np.asarray(run()) for name, run in contestants.items()}  # warms up as well
    times = time_in_turns(contestants, num_rounds)
    for process in processes.values():
        process.close()
    exact = found["ours, torch f32"]
    return Case(
        name="the same, each at its fastest",
        times=times,
        targets=(Target(fastest_of("peer", times), fastest_of("ours", times), _LEAST_RATIO),),
        checks={
            f"scores, largest difference to ours in float32, {name}": float(
                np.abs(scores - exact).max()
            )
            for name, scores in found.items()
            if scores is not exact
        },
    )


def fastest_of(library: str, times: Times) -> str:
    """The contestant of a library with the smallest median."""
    own = [name for name in times.seconds if name.startswith(f"{library},")]
    return min(own, key=times.median_s)
