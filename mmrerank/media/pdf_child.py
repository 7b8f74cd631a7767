"""The process that renders pages of PDFs, and the words that it exchanges with its parent.

The answer is read as plain numbers and text, never unpickled: the child has read a stranger's file.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass
from typing import IO

import numpy as np

from mmrerank.errors import MediaError, MediaUnreadable
from mmrerank.media.pdf_render import render_page
from mmrerank.media.policy import MediaPolicy

__all__ = ["READY", "Failure", "Job", "read_answer", "serve", "write_job"]

READY = b"ready\n"
_JOB = struct.Struct("<qqqqq")
_ANSWER = struct.Struct("<cqq")
_MAX_MESSAGE_BYTES = 8_000
# Besides what the interpreter takes: enough for a page of scans, too little to hurt a machine.
_MAX_MEMORY_BYTES = 768 << 20
_MAX_PAGE_CPU_S = 10


@dataclass(frozen=True, slots=True)
class Job:
    """What to render and its limits; see `MediaPolicy`. page: counted from 1, None = the only."""

    page: int | None
    longer_side_px: int
    max_pages: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the child: the name of its class in mmrerank.errors, and what it says."""

    kind: str
    message: str


def write_job(pipe: IO[bytes], job: Job, data: bytes) -> None:
    """Ask for a page. Raises OSError where the child is gone."""
    page = -1 if job.page is None else min(max(job.page, 0), 1 << 40)
    limits = (min(int(limit), 1 << 60) for limit in (job.max_pages, job.max_pixels))
    pipe.write(_JOB.pack(len(data), page, job.longer_side_px, *limits))
    pipe.write(data)
    pipe.flush()


def read_answer(pipe: IO[bytes]) -> np.ndarray | Failure:
    """(height, width, 3) uint8, or why not. Raises EOFError where the child ended."""
    kind, first, second = _ANSWER.unpack(_exactly(pipe, _ANSWER.size))
    if kind == b"P":
        pixels = np.empty((first, second, 3), np.uint8)
        view = pixels.reshape(-1).data
        while view:
            num_bytes = pipe.readinto(view)  # type: ignore[attr-defined]
            if not num_bytes:
                raise EOFError("the answer breaks off")
            view = view[num_bytes:]
        return pixels
    words = _exactly(pipe, min(first, _MAX_MESSAGE_BYTES)).decode(errors="replace")
    name, _, message = words.partition("\n")
    return Failure(name, message)


def _exactly(pipe: IO[bytes], num_bytes: int) -> bytes:
    data = pipe.read(num_bytes)
    if len(data) < num_bytes:
        raise EOFError("the answer breaks off")
    return data


# ---------------------------------------------------------------- in the child


def serve() -> None:
    """Render pages until the parent closes the pipe."""
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    _bound_memory()
    answers.write(READY)
    answers.flush()
    while header := jobs.read(_JOB.size):
        num_bytes, page, longer_side_px, max_pages, max_pixels = _JOB.unpack(header)
        data = jobs.read(num_bytes)
        policy = MediaPolicy(max_pages=max_pages, max_pixels=max_pixels)
        _bound_time()
        try:
            pixels = render_page(data, None if page < 0 else page, longer_side_px, policy)
        except MediaError as error:
            _fail(answers, error)
        except MemoryError:
            _fail(answers, MediaUnreadable("the page does not fit into memory."))
        else:
            answers.write(_ANSWER.pack(b"P", *pixels.shape[:2]))
            answers.write(np.ascontiguousarray(pixels).data)
        answers.flush()


def _fail(answers: IO[bytes], error: Exception) -> None:
    words = f"{type(error).__name__}\n{error}".encode()[:_MAX_MESSAGE_BYTES]
    answers.write(_ANSWER.pack(b"E", len(words), 0) + words)


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows: time is bounded all the same
        return
    try:
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:  # not Linux: what the process takes by now is not told
        return
    resource.setrlimit(resource.RLIMIT_AS, (now + _MAX_MEMORY_BYTES, now + _MAX_MEMORY_BYTES))


def _bound_time() -> None:
    """A page that is drawn for ever ends this process, also when the parent is there no more."""
    try:
        import resource
    except ImportError:
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(usage.ru_utime + usage.ru_stime) + _MAX_PAGE_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, most))
