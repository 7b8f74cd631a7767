"""Runs cases in worker processes and outlives them: hangs, crashes and eaten memory are named."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Any

__all__ = ["MAX_EXTRA_MB", "MAX_S", "Outcome", "run_cases"]

MAX_S = 10.0
MAX_EXTRA_MB = 300.0
_HANG_S = 2 * MAX_S + 1.0  # two calls at most; below that the worker's own clock decides
_START_S, _MAKE_S = 180.0, 60.0  # of a worker; of one case's file
_KILL_MB = 2_000.0  # a worker that grows by so much is ended before the machine suffers
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case's end. result: "value", an error's class, "hang", "crash" or "memory"."""

    case: str
    result: str
    message: str = ""
    defects: tuple[str, ...] = ()
    taken_s: float = 0.0
    extra_mb: float = 0.0
    printed_bytes: int = 0


@dataclass(slots=True)
class Worker:
    """One process and the pipe to it."""

    options: Sequence[str]
    process: subprocess.Popen[bytes] = field(init=False)
    errors: IO[bytes] = field(init=False)
    folder: tempfile.TemporaryDirectory[str] = field(init=False)
    rss_mb: float = 0.0
    unread: bytes = b""

    def __post_init__(self) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.folder = tempfile.TemporaryDirectory(prefix="fuzzing-")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzzing.worker", self.folder.name, *self.options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=_ROOT,
            # A fixed threshold: glibc's own grows, and large buffers would then stay unseen.
            env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "4000000"},
        )
        if self._answer(_START_S) != "ready":
            raise RuntimeError(f"a fuzzing worker did not start:\n{self._said()}")
        self.rss_mb = self._memory_mb()

    def run(self, case: str) -> Outcome:
        """What the case came to; afterwards the worker may be gone, see `is_alive`."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{case}\n".encode())
        self.process.stdin.flush()
        answer = self._answer(_MAKE_S)
        start = time.monotonic()
        if answer == "started":
            answer = self._answer(_HANG_S)
        if answer in ("hang", "memory", ""):
            taken_s = time.monotonic() - start
            how = answer or f"crash: signal or status {self.process.wait()}"
            defect = f"{how}\n{self._end()}"
            return Outcome(case, answer or "crash", defects=(defect,), taken_s=taken_s)
        told = json.loads(answer)
        defects = [*told.pop("defects"), *_beyond_bounds(told)]
        return Outcome(case, defects=tuple(defects), **told)

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                pipe.close()
        self.folder.cleanup()

    def _answer(self, within_s: float) -> str:
        """A line, "" where the process died, "hang" or "memory" where it must be ended."""
        assert self.process.stdout is not None
        until = time.monotonic() + within_s
        while b"\n" not in self.unread:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
            if ready:
                # Not readline: what it read beyond the line would be unknown to select.
                piece = os.read(self.process.stdout.fileno(), 1 << 16)
                if not piece:
                    return ""
                self.unread += piece
            elif self.rss_mb and self._memory_mb() - self.rss_mb > _KILL_MB:
                return "memory"
            elif time.monotonic() > until:
                return "hang"
        line, _, self.unread = self.unread.partition(b"\n")
        return line.decode()

    def _end(self) -> str:
        """Ended by SIGABRT, upon which it says where each of its threads stood."""
        if self.is_alive:
            self.process.send_signal(signal.SIGABRT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        return self._said()

    def _said(self) -> str:
        size = self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, size - 4_000))
        return self.errors.read().decode(errors="replace")

    def _memory_mb(self) -> float:
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        except OSError:
            return 0.0
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6 if len(pages) > 1 else 0.0


def _beyond_bounds(told: dict[str, Any]) -> Iterator[str]:
    if told["taken_s"] > MAX_S:
        yield f"took {told['taken_s']:.1f} s"
    if told["extra_mb"] > MAX_EXTRA_MB:
        yield f"took {told['extra_mb']:,.0f} MB"


def run_cases(
    cases: Iterable[str],
    *,
    num_workers: int = 2,
    options: Sequence[str] = (),
    tell: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run every case and return what each came to, in no particular order.

    options: of `python -m tests.fuzzing.worker`. tell: called with each outcome, and then nothing
    is returned: a long run need not fit into memory.
    """
    waiting, lock = iter(cases), Lock()
    kept: list[Outcome] = []

    def work(_: int) -> None:
        worker = Worker(options)
        try:
            while True:
                with lock:
                    case = next(waiting, None)
                if case is None:
                    return
                outcome = worker.run(case)
                with lock:
                    (tell or kept.append)(outcome)
                if not worker.is_alive:
                    worker.close()
                    worker = Worker(options)
        finally:
            worker.close()

    with ThreadPoolExecutor(num_workers) as pool:
        list(pool.map(work, range(num_workers)))
    return kept
