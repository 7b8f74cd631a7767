"""Training beside sentence-transformers, work by work: python -m benchmarks.training.

Both libraries train the same checkpoint on the same batches, in turns in one process, in float32
and without dropout, each turn from the checkpoint's weights. Ours runs twice: in packed rows, as it
does by default, and padded. Loss and memory are compared as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from datasets.utils.logging import disable_progress_bar as disable_datasets_progress_bar
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from benchmarks._checkpoints import build_lm_shape, build_minilm_shape, build_vl_shape
from benchmarks._measure import machine_facts, time_in_turns
from benchmarks._report import Case, Target
from benchmarks._training_runs import OURS, PEER, Contestant, counted_tokens, final_loss
from benchmarks._training_works import Work, works
from benchmarks._verdicts import Verdict, verdict_lines
from tests.checkpoints import build_bert, build_qwen3, build_qwen3_vl

__all__ = ["main"]

_TORCH_THREADS = 2
_MOST_LOSS_DIFFERENCE = 0.02
_Builders: TypeAlias = dict[str, Callable[[Path], Path]]
_SHAPES: _Builders = {"minilm": build_minilm_shape, "lm": build_lm_shape, "vl": build_vl_shape}
_TINY_SHAPES: _Builders = {"minilm": build_bert, "lm": build_qwen3, "vl": build_qwen3_vl}


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one work."""

    case: Case
    verdicts: Sequence[Verdict]

    @property
    def is_missed(self) -> bool:
        """Whether a target or a bound was not met."""
        return bool(self.case.missed()) or not all(verdict.is_met for verdict in self.verdicts)

    def as_text(self) -> str:
        """For people."""
        return self.case.as_text() + verdict_lines(self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """All that is known, in plain values."""
        return {**self.case.as_json(), "verdicts": [v.as_json() for v in self.verdicts]}


def measure(work: Work, folder: Path, num_rounds: int) -> Row:
    """One row of the table."""
    dataset = work.dataset()
    named = {
        "peer": Contestant(PEER, folder, work, dataset),
        "ours": Contestant(OURS, folder, work, dataset, packed=True),
        "ours, padded": Contestant(OURS, folder, work, dataset, packed=False),
    }

    def prepare(contestant: Contestant) -> None:
        for other in named.values():
            other.release()
        contestant.prepare()

    num_tokens = _count_tokens(named["ours"])
    preparing = {name: partial(prepare, contestant) for name, contestant in named.items()}
    times = time_in_turns(named, num_rounds, prepare=preparing)
    checks: dict[str, float] = {}
    for name, contestant in named.items():
        median_s = times.median_s(name)
        checks[f"rows a second, {name}"] = work.num_rows / median_s
        checks[f"tokens a second without padding, {name}"] = num_tokens / median_s
        checks[f"peak memory beside the model, {name}, MB"] = _peak(contestant) / 1e6
        checks[f"loss of the first step, {name}"] = contestant.losses[0]
        checks[f"final loss, {name}"] = final_loss(contestant.losses)
    return Row(
        Case(work.name, times, (Target("peer", "ours", work.least_ratio),), checks),
        _verdicts(named),
    )


def _count_tokens(ours: Contestant) -> int:
    """Tokens of all prompts of a run, by a run that is not measured: it also warms up."""
    ours.prepare()
    with counted_tokens(ours.trainer.model) as lengths:
        ours()
    ours.peak_bytes.clear()
    return sum(lengths)


def _verdicts(named: dict[str, Contestant]) -> list[Verdict]:
    loss, expected = (final_loss(named[name].losses) for name in ("ours", "peer"))
    return [
        Verdict(
            "final loss, relative difference",
            abs(loss - expected) / abs(expected),
            at_most=_MOST_LOSS_DIFFERENCE,
        ),
        Verdict(
            "peak memory over the peer's", _peak(named["ours"]) / _peak(named["peer"]), at_most=1.0
        ),
    ]


def _peak(contestant: Contestant) -> float:
    return statistics.median(contestant.peak_bytes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON. Returns 1 when a target is missed, except with --tiny."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(1 if given.tiny else _TORCH_THREADS)
    disable_progress_bar()
    disable_datasets_progress_bar()
    set_verbosity_error()
    facts = machine_facts(torch.get_num_threads())
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    builders = _TINY_SHAPES if given.tiny else _SHAPES
    rows = []
    with tempfile.TemporaryDirectory() as made:

        @cache
        def folder_of(name: str) -> Path:
            return builders[name](Path(made, name))

        for number, work in enumerate(works(is_tiny=given.tiny)):
            if given.row is None or number in given.row:
                rows.append(measure(work, folder_of(work.checkpoint), given.rounds))
                print(rows[-1].as_text(), flush=True)
    if given.json:
        report = {"machine": facts, "tiny": given.tiny, "cases": [row.as_json() for row in rows]}
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return int(any(row.is_missed for row in rows) and not given.tiny)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.training", description=__doc__)
    parser.add_argument("--row", type=int, action="append", help="only this row, repeatable")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument("--tiny", action="store_true", help="tiny models: shows that it runs")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
