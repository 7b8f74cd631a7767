"""Scoring on a GPU beside sentence-transformers, with published sizes: python -m benchmarks.gpu.

Random weights in bfloat16, made on the device. Both libraries compute with the same weights, each
with the batch size that is fastest for it; ours starts each turn with empty caches. The
vision-language shapes are also scored one pair at a time, as their vendor's script does. Without a
GPU, --tiny shows that it runs; its figures say nothing.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import is_flash_attn_2_available
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from benchmarks._gpu_checkpoints import (
    SHAPES,
    TINY_SHAPES,
    Place,
    Rerankers,
    Shape,
    make_rerankers,
)
from benchmarks._gpu_contestants import Ours, contestants_for
from benchmarks._gpu_flops import num_flops, peak_flops_per_s
from benchmarks._gpu_measure import busy_share, device_facts, device_peak_bytes
from benchmarks._gpu_works import Work, works_of
from benchmarks._measure import Times, machine_facts, time_in_turns
from benchmarks._report import Case, Target
from benchmarks._verdicts import Verdict, verdict_lines
from mmrerank.inputs import parse_pairs
from mmrerank.types import Pair

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class Run:
    """How to measure. peak_flops_per_s: of the device, where it is known."""

    place: Place
    num_rounds: int
    peak_flops_per_s: float | None
    is_tiny: bool


@dataclass(slots=True)
class Row:
    """What was measured of one work. scores: by contestant."""

    work: Work
    times: Times
    scores: Mapping[str, np.ndarray]
    checks: dict[str, float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def case(self) -> Case:
        """For the report."""
        targets = [
            Target(name, "ours", ratio)
            for name, ratio in self.work.targets.items()
            if name in self.times.seconds
        ]
        return Case(self.work.name, self.times, targets, self.checks)

    @property
    def is_missed(self) -> bool:
        """Whether a target or a bound was not met."""
        return bool(self.case.missed()) or not all(verdict.is_met for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """All that is known, in plain values."""
        return {**self.case.as_json(), "verdicts": [v.as_json() for v in self.verdicts]}


# ---------------------------------------------------------------- one work


def measure(work: Work, rerankers: Rerankers, shape: Shape, run: Run) -> Row:
    """One row of the table."""
    ours = Ours(rerankers.ours)
    named = contestants_for(work, rerankers, shape, ours)
    calls = {name: lambda predict=predict: predict(work.pairs) for name, predict in named.items()}
    scores = {}
    for name, call in calls.items():
        ours.prepare()
        scores[name] = np.asarray(call(), np.float32)
    row = Row(
        work,
        time_in_turns(calls, run.num_rounds, prepare={"ours": ours.prepare}),
        scores,
    )
    for name, call in calls.items():
        ours.prepare()
        row.checks[f"pairs a second, {name}"] = len(work.pairs) / row.times.median_s(name)
        peak = device_peak_bytes(call, run.place.device)
        row.checks[f"peak memory of a call, {name}, MB"] = peak / 1e6
        ours.prepare()
        share = busy_share(call, run.place.device)
        if share is not None:
            row.checks[f"share of the time in which the device is busy, {name}"] = share
    _add_tokens(row, rerankers, shape, run)
    return row


def _add_tokens(row: Row, rerankers: Rerankers, shape: Shape, run: Run) -> None:
    """What tokenising alone takes, how much is computed, and how near that is to the device's
    peak."""
    reader = copy.copy(rerankers.ours)
    parsed = parse_pairs(list(row.work.pairs)).pairs
    pairs = [pair for pair in parsed if isinstance(pair, Pair)]
    _ = reader.pipeline
    start_s = time.perf_counter()
    groups, _ = reader.pipeline.encode(pairs)
    row.checks["seconds of tokenising and preparing, ours, alone"] = time.perf_counter() - start_s
    row.checks["tokens, one by one"] = sum(group.num_tokens for group in groups)
    if not shape.is_multimodal:
        return
    flops = num_flops(rerankers.model, groups)
    row.checks["operations at least, TFLOP"] = flops / 1e12
    for name in row.times.seconds if run.peak_flops_per_s else ():
        share = flops / row.times.median_s(name) / run.peak_flops_per_s
        row.checks[f"model FLOP utilisation, {name}"] = share
        if name == "ours" and row.work.least_utilisation is not None:
            row.verdicts.append(
                Verdict("model FLOP utilisation", share, at_least=row.work.least_utilisation)
            )


def add_exactness(rows: Sequence[Row], rerankers: Rerankers) -> None:
    """How far each contestant's scores are from those in float32. The last thing to do with a
    model: its numbers are changed."""
    try:
        rerankers.model.set_attn_implementation("sdpa")
        rerankers.peer.float()
        expected = {row.work.name: rerankers.peer.predict(list(row.work.pairs)) for row in rows}
    except torch.OutOfMemoryError:
        return  # float32 weights take twice the room; the times stand without them
    for row in rows:
        reference = np.asarray(expected[row.work.name], np.float32)
        row.checks["scores in float32, standard deviation"] = float(reference.std())
        far = {name: float(np.abs(s - reference).mean()) for name, s in row.scores.items()}
        for name, difference in far.items():
            row.checks[f"mean difference to scores in float32, {name}"] = difference
        times = far["ours"] / far["peer"]
        row.verdicts.append(Verdict("our difference to float32 over the peer's", times, at_most=2))


# ---------------------------------------------------------------- the command


def measure_shape(name: str, shape: Shape, run: Run) -> list[Row]:
    """All rows of one shape."""
    gc.collect()  # the model of the shape before
    with tempfile.TemporaryDirectory() as made:
        rerankers = make_rerankers(shape, Path(made, "checkpoint"), run.place)
        rows = []
        for work in works_of(name, is_tiny=run.is_tiny):
            rows.append(measure(work, rerankers, shape, run))
        add_exactness(rows, rerankers)
    for row in rows:
        print(row.case.as_text() + verdict_lines(row.verdicts), flush=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON. Returns 1 when a target is missed, except with --tiny."""
    given = _parser().parse_args(arguments)
    if not given.tiny and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use; --tiny runs on the processor")
    disable_progress_bar()
    set_verbosity_error()
    if given.tiny:
        torch.set_num_threads(1)  # on models this small more threads only wait for each other
    device = torch.device("cpu" if given.tiny else "cuda")
    facts = machine_facts(torch.get_num_threads()) | device_facts(device)
    facts["attention"] = given.attention
    peak = (
        given.peak_tflops * 1e12 if given.peak_tflops else peak_flops_per_s(str(facts.get("gpu")))
    )
    facts["peak_tflops"] = peak / 1e12 if peak else None
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    run = Run(Place(device, torch.bfloat16, given.attention), given.rounds, peak, given.tiny)
    shapes = TINY_SHAPES if given.tiny else SHAPES
    rows = [row for name in given.shape or shapes for row in measure_shape(name, shapes[name], run)]
    if given.json:
        report = {"machine": facts, "tiny": given.tiny, "cases": [row.as_json() for row in rows]}
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(row.is_missed for row in rows) and not given.tiny)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--shape", action="append", choices=SHAPES, help="only this, repeatable")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument("--tiny", action="store_true", help="on the processor: shows that it runs")
    parser.add_argument(
        "--attention",
        default="flash_attention_2" if is_flash_attn_2_available() else "sdpa",
        help="implementation that the model has outside our packed rows (default: %(default)s)",
    )
    parser.add_argument(
        "--peak-tflops", type=float, help="dense bf16 peak of a device that is not in the table"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
