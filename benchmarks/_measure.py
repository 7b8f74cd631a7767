"""Times contestants in turns, and says on which machine and with which versions."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["Times", "machine_facts", "peak_bytes_of", "table", "time_in_turns"]

_PACKAGES = (
    *("mmrerank", "sentence-transformers", "transformers", "torch", "torchvision", "torchcodec"),
    *("openvino", "av", "pillow", "numpy"),
)


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each contestant, round by round: the i-th of all were measured side by side.

    cpu_seconds: of all threads together; they tell work saved from work spread over cores, and a
    busy machine changes them less.
    """

    seconds: Mapping[str, Sequence[float]]
    cpu_seconds: Mapping[str, Sequence[float]]

    def median_s(self, name: str) -> float:
        """Median seconds of one contestant."""
        return statistics.median(self.seconds[name])

    def median_cpu_s(self, name: str) -> float:
        """Median processor seconds of one contestant."""
        return statistics.median(self.cpu_seconds[name])

    def ratio(self, slow: str, fast: str) -> dict[str, float]:
        """How many times longer `slow` took than `fast`: median, least and most of the rounds."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        ratios = [one / other for one, other in pairs]
        return {
            "median": statistics.median(ratios),
            "min": min(ratios),
            "max": max(ratios),
        }


def time_in_turns(
    contestants: Mapping[str, Callable[[], object]],
    num_rounds: int,
    *,
    prepare: Mapping[str, Callable[[], object]] | None = None,
) -> Times:
    """Run all contestants one after the other, `num_rounds` times (A B C A B C …).

    prepare: by contestant, what is called before its turn and not timed.

    Side by side, so that a machine which slows down for a while slows all of them; what one leaves
    behind is collected before the next starts.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(num_rounds):
        for name, run in contestants.items():
            (prepare or {}).get(name, int)()
            gc.collect()
            start_s, start_cpu_s = time.perf_counter(), time.process_time()
            run()
            cpu_seconds[name].append(time.process_time() - start_cpu_s)
            seconds[name].append(time.perf_counter() - start_s)
    return Times(seconds, cpu_seconds)


def peak_bytes_of(call: Callable[[], object]) -> int:
    """Memory that a call takes at its peak beside what the process uses. Linux with glibc only.

    What earlier calls have left is given back first: a call that finds it would seem to take none.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    before = _status_bytes("VmRSS")
    call()
    return _status_bytes("VmHWM") - before


def _status_bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def machine_facts(num_threads: int) -> dict[str, object]:
    """Processor, cores, versions and date: what a figure is worth nothing without."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": num_threads,
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other; the first to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cpu_name() -> str:
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in facts.splitlines() if "model name" in line]
    return names[0] if names else platform.processor()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
