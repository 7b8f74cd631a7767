"""Time per document and memory as lists grow: python -m benchmarks.growth.

One query and 10 to 10,000 documents; of any ten neighbours the lengths are the same, so that lists
differ by their number alone. Each call is on an object with empty caches. Memory is that of a call
beside what the process has, for lists by `predict` and for an iterator by `score_stream`.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from benchmarks._checkpoints import build_minilm_shape, build_vl_shape
from benchmarks._measure import machine_facts, peak_bytes_of, table
from benchmarks._pairs import make_text, make_texts
from benchmarks._verdicts import Verdict, verdict_lines
from mmrerank import CrossEncoder

__all__ = ["main"]

_TORCH_THREADS = 2
_LENGTHS = (8, 10, 12, 16, 18, 20, 24, 26, 30, 36)  # words; 20 on average
_NUM_DISTINCT = 2_000  # documents beyond it are these with their words turned round
_FIRST_OF_MEMORY = 1_000
_MOST_GROWTH = 1.15
_PAIR_BYTES = 1_000  # what predict holds of a pair: as it was read, its score, what is said of it


@dataclass(frozen=True, slots=True)
class Series:
    """Lists of growing length for one checkpoint. num_pairs_timed: of the shorter lists so many
    calls are timed in a round that they score at least so many pairs."""

    name: str
    build: Callable[[Path], Path]
    nums: Sequence[int]
    num_pairs_timed: int = 200


_SERIES = {
    "minilm": Series("MiniLM shape", build_minilm_shape, (10, 30, 100, 300, 1_000, 3_000, 10_000)),
    "vl": Series("VL shape, text", build_vl_shape, (10, 30, 100, 300, 1_000, 3_000, 10_000)),
}


@dataclass(slots=True)
class Point:
    """Lists of `num` documents; memory is measured of long ones.

    ms: for a document, a round each. peak_bytes: of a call of predict, a round each.
    stream_bytes: the same of score_stream over an iterator of these pairs.
    """

    num: int
    ms: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    stream_bytes: list[int] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Median milliseconds for a document."""
        return statistics.median(self.ms)

    @property
    def median_bytes(self) -> float | None:
        """Median peak of predict."""
        return statistics.median(self.peak_bytes) if self.peak_bytes else None

    @property
    def median_stream_bytes(self) -> float | None:
        """Median peak of score_stream."""
        return statistics.median(self.stream_bytes) if self.stream_bytes else None

    def as_json(self) -> dict[str, Any]:
        """All that is known, in plain values."""
        return {
            "num_documents": self.num,
            "ms_per_document": self.ms,
            "peak_bytes": self.peak_bytes,
            "stream_bytes": self.stream_bytes,
        }


# ---------------------------------------------------------------- measuring


def pairs_of(num: int) -> Iterator[tuple[str, str]]:
    """One query with so many documents, all different."""
    query = make_text(0, 8)
    texts = make_texts(1, [_LENGTHS[i % len(_LENGTHS)] for i in range(min(num, _NUM_DISTINCT))])
    for index in range(num):
        round_number, place = divmod(index, len(texts))
        words = texts[place].split()
        turned = words[round_number % len(words) :] + words[: round_number % len(words)]
        yield query, " ".join(turned)


def measure(model: CrossEncoder, series: Series, num_rounds: int) -> list[Point]:
    """A point a length; in each round all lengths, one after the other."""
    points = [Point(num) for num in series.nums]
    model.predict(list(pairs_of(32)))  # what the process makes once
    for _ in range(num_rounds):
        for point in points:
            _add_turn(point, model, series.num_pairs_timed)
        for point in points:
            if point.num >= _FIRST_OF_MEMORY:
                stream = partial(_stream, _fresh(model), point.num)
                point.stream_bytes.append(_peak_bytes(stream))
    return points


def _add_turn(point: Point, model: CrossEncoder, num_pairs_timed: int) -> None:
    """Time and memory of predict once more; of a short list several calls, and their median."""
    pairs = list(pairs_of(point.num))
    seconds: list[float] = []

    def call() -> None:
        start_s = time.perf_counter()
        fresh.predict(pairs)
        seconds.append(time.perf_counter() - start_s)

    for _ in range(max(1, num_pairs_timed // point.num)):
        fresh = _fresh(model)
        if point.num >= _FIRST_OF_MEMORY:
            point.peak_bytes.append(_peak_bytes(call))
        else:
            call()
    point.ms.append(statistics.median(seconds) / point.num * 1_000)


def _peak_bytes(call: Callable[[], object]) -> int:
    # What earlier calls left in the allocator would be used again, and not be seen.
    ctypes.CDLL(None).malloc_trim(0)
    return peak_bytes_of(call)


def _stream(model: CrossEncoder, num: int) -> None:
    for _ in model.score_stream(pairs_of(num)):
        pass


def _fresh(model: CrossEncoder) -> CrossEncoder:
    """The same weights and empty caches."""
    fresh = copy.copy(model)
    _ = fresh.pipeline
    return fresh


# ---------------------------------------------------------------- judging


def verdicts_of(points: Sequence[Point]) -> list[Verdict]:
    """Flat within 15 % or falling, in time for a document and in memory."""
    verdicts = [_no_growth("time for a document", [point.median_ms for point in points])]
    # The caller's list and array of scores are as long as they are.
    predict = [p.median_bytes - _PAIR_BYTES * p.num for p in points if p.median_bytes is not None]
    stream = [p.median_stream_bytes for p in points if p.median_stream_bytes is not None]
    if len(predict) > 1:
        kilobytes = f"{_PAIR_BYTES / 1_000:g} kB"
        verdicts.append(_no_growth(f"memory of predict, less {kilobytes} a document", predict))
    if len(stream) > 1:
        verdicts.append(_no_growth("memory of score_stream", stream))
    return verdicts


def _no_growth(name: str, values: Sequence[float]) -> Verdict:
    growth = _most_growth(values)
    return Verdict(f"{name}, over the least of any shorter list", growth, at_most=_MOST_GROWTH)


def _most_growth(values: Sequence[float]) -> float:
    """The largest value over the least in front of it; 1 or less where values only fall."""
    return max(value / min(values[:place]) for place, value in enumerate(values) if place)


def as_text(series: Series, points: Sequence[Point]) -> str:
    """A table, and what was asked."""
    header = (series.name, "ms a document", "least", "most", "predict MB", "stream MB")
    rows = [
        (
            f"{point.num:,} documents",
            f"{point.median_ms:.2f}",
            f"{min(point.ms):.2f}",
            f"{max(point.ms):.2f}",
            _megabytes(point.median_bytes),
            _megabytes(point.median_stream_bytes),
        )
        for point in points
    ]
    return table(header, rows) + "\n" + verdict_lines(verdicts_of(points))


def _megabytes(num_bytes: float | None) -> str:
    return "" if num_bytes is None else f"{num_bytes / 1e6:.0f}"


# ---------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, write JSON. Returns 1 when something grows, except with --most."""
    given = _parser().parse_args(arguments)
    torch.set_num_threads(_TORCH_THREADS)
    disable_progress_bar()
    set_verbosity_error()
    facts = machine_facts(_TORCH_THREADS)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    report: dict[str, Any] = {"machine": facts, "series": []}
    for name in given.series or _SERIES:
        series = _SERIES[name]
        nums = [num for num in series.nums if given.most is None or num <= given.most]
        series = replace(series, nums=nums)
        with tempfile.TemporaryDirectory() as made:
            model = CrossEncoder(str(series.build(Path(made, name))), device="cpu")
            points = measure(model, series, given.rounds)
        print(as_text(series, points), flush=True)
        report["series"].append(
            {
                "name": series.name,
                "points": [point.as_json() for point in points],
                "verdicts": [verdict.as_json() for verdict in verdicts_of(points)],
            }
        )
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    grows = any(not verdict["met"] for one in report["series"] for verdict in one["verdicts"])
    return int(grows and given.most is None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--series", action="append", choices=_SERIES, help="only this, repeatable")
    parser.add_argument("--rounds", type=int, default=2, help="how often each length is measured")
    parser.add_argument("--most", type=int, help="no longer lists: shows that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
