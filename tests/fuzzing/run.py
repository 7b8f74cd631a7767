"""The longer run: python -m tests.fuzzing.run --cases 50000 --summary figures.json

One case again, to see what it does: python -m tests.fuzzing.run --case png:flip:7
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.fuzzing.cases import Case, bytes_of, damaged_cases, fixtures
from tests.fuzzing.crafted import CRAFTED
from tests.fuzzing.pool import Outcome, run_cases

__all__ = ["Figures", "main"]


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    if options.save:
        Path(options.save).write_bytes(bytes_of(Case.read(options.case)))
    figures = Figures()
    worker = [f"--{name}={getattr(options, name)}" for name in ("mode", "policy", "backend")]
    worker.append(f"--warnings={options.warnings}")
    start = time.monotonic()
    run_cases(_cases(options), num_workers=options.workers, options=worker, tell=figures.add)
    report = {"run": " ".join(worker), "wall_s": round(time.monotonic() - start, 1)}
    report |= figures.summary()
    text = json.dumps(report, indent=2, ensure_ascii=False)
    if options.summary:
        Path(options.summary).write_text(text + "\n", encoding="utf-8")
    print(text)
    return 1 if figures.defective else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=2_000, help="number of damaged files")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--only", default="*", help="pattern of case names, e.g. 'png*:lie:*'")
    parser.add_argument("--case", help="run this one only and tell all of it")
    parser.add_argument("--save", help="with --case: write its bytes to this file first")
    parser.add_argument("--crafted", action="store_true", help="the files made by hand only")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--mode", choices=("load", "score"), default="load")
    parser.add_argument("--policy", choices=("local", "server"), default="local")
    parser.add_argument("--backend", choices=("any", "pyav"), default="any")
    parser.add_argument("--warnings", choices=("record", "error"), default="record")
    parser.add_argument("--summary", help="write the figures to this file as well")
    return parser


def _cases(options: argparse.Namespace) -> Iterator[str]:
    if options.case:
        return iter([options.case])
    # Honest clips of 4K may fill what local() allows, 2 GB; server() has a limit below the bound.
    left_out = {"mp4_60_frames_of_4k"} if options.policy == "local" else set()
    crafted = (f"{name}:crafted:0" for name in CRAFTED if name not in left_out)
    if options.crafted:
        return (name for name in crafted if fnmatch(name, options.only))
    healthy = (str(Case(name, "none")) for name in fixtures())
    damaged = (str(case) for case in damaged_cases(options.start))
    wanted = (name for name in damaged if fnmatch(name, options.only))
    first = (name for name in itertools.chain(crafted, healthy) if fnmatch(name, options.only))
    return itertools.chain(first, itertools.islice(wanted, options.cases))


@dataclass(slots=True)
class Figures:
    """Counts over many outcomes; of the messages one example a kind is kept."""

    results: Counter[str] = field(default_factory=Counter)
    by_mutation: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    defective: list[Outcome] = field(default_factory=list)
    slowest: Outcome = field(default_factory=lambda: Outcome("none", "none"))
    largest: Outcome = field(default_factory=lambda: Outcome("none", "none"))
    num_printing: int = 0
    total_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.results[outcome.result] += 1
        self.by_mutation[outcome.case.split(":")[1]] += 1
        self.num_printing += outcome.printed_bytes > 0
        self.total_s += outcome.taken_s
        if outcome.message:
            kind = kind_of(outcome.message)
            self.messages[kind] += 1
            self.examples.setdefault(kind, outcome.case)
        if outcome.taken_s > self.slowest.taken_s:
            self.slowest = outcome
        if outcome.extra_mb > self.largest.extra_mb:
            self.largest = outcome
        if outcome.defects:
            self.defective.append(outcome)
            print(f"DEFECT {outcome.case}: {' | '.join(outcome.defects)}", file=sys.stderr)

    def summary(self) -> dict[str, Any]:
        """Everything counted, as JSON takes it."""
        return {
            "cases": self.results.total(),
            "results": dict(self.results.most_common()),
            "mutations": dict(self.by_mutation.most_common()),
            "slowest": _told(self.slowest),
            "largest": _told(self.largest),
            "seconds_in_cases": round(self.total_s, 1),
            "cases_that_print": self.num_printing,
            "defective": [asdict(outcome) for outcome in self.defective[:200]],
            "num_defective": len(self.defective),
            "messages": {
                kind: [count, self.examples[kind]] for kind, count in self.messages.most_common(80)
            },
        }


def kind_of(message: str) -> str:
    """A message without what differs from case to case: numbers and quoted text."""
    return re.sub(r"\d[\d,.]*", "9", re.sub(r"'[^']*'", "'…'", message))[:300]


def _told(outcome: Outcome) -> str:
    return f"{outcome.case}: {outcome.taken_s:.2f} s, {outcome.extra_mb:.0f} MB, {outcome.result}"


if __name__ == "__main__":
    sys.exit(main())
