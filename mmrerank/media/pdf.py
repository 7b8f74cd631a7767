"""A page of a PDF → a picture, rendered by a process of its own.

pdfium cannot be stopped: a kilobyte of PDF may draw for hours, fill the memory or end the process.
So a child renders, one page at a time, with bounds on its time and memory; it is started with the
first PDF and stays for the next.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np

from mmrerank import errors
from mmrerank.errors import MediaError, MediaTooLarge, MediaUnreadable
from mmrerank.media.pdf_child import READY, Job, read_answer, write_job
from mmrerank.media.pdf_render import render_page
from mmrerank.media.policy import MediaPolicy
from mmrerank.types import DecodeBudget, DecodedImage

__all__ = ["decode_pdf_page"]

logger = logging.getLogger(__name__)

MAX_RENDER_S = 3.0
_START_S = 30.0
# The child finds modules where this process does, and nothing in the folder it is started in.
_CODE = "import sys; sys.path[:] = {path!r}; from mmrerank.media.pdf_child import serve; serve()"


def decode_pdf_page(
    data: bytes, page: int | None, budget: DecodeBudget, policy: MediaPolicy
) -> DecodedImage:
    """Render a page, counted from 1; its longer side gets `budget.pdf_page_px` pixels.

    page: None only for a PDF of one page. Raises MediaNotFound for a page that is not there,
    MediaTooLarge for more pages than the policy allows and for a page that takes too much time or
    memory, MediaUnreadable for a file that is broken or locked with a password.
    """
    job = Job(page, budget.pdf_page_px, policy.max_pages, policy.max_pixels)
    return DecodedImage(_RENDERER.render(data, job, policy))


class _Renderer:
    """The child process; threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cannot_start = False

    def render(self, data: bytes, job: Job, policy: MediaPolicy) -> np.ndarray:
        with self._lock:
            if not self._is_running():
                self._start()
            if self._process is None:
                return render_page(data, job.page, job.longer_side_px, policy)
            try:
                return self._ask(self._process, data, job)
            except MediaError:
                raise
            except BaseException:  # half an answer may be left in the pipe
                self.stop()
                raise

    def _ask(self, process: subprocess.Popen[bytes], data: bytes, job: Job) -> np.ndarray:
        is_late = threading.Event()
        timer = threading.Timer(MAX_RENDER_S, _kill, (process, is_late))
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            write_job(process.stdin, job, data)
            answer = read_answer(process.stdout)
        except (OSError, EOFError) as error:
            self.stop()
            if is_late.is_set():
                raise MediaTooLarge(
                    f"the page took more than {MAX_RENDER_S:g} s to draw. Render it yourself and "
                    "pass the picture."
                ) from error
            raise MediaUnreadable(
                "the PDF ended its reader, which ran out of memory or crashed. Render the page "
                "yourself and pass the picture."
            ) from error
        finally:
            timer.cancel()
        if isinstance(answer, np.ndarray):
            return answer
        kind = getattr(errors, answer.kind, MediaUnreadable)
        is_known = isinstance(kind, type) and issubclass(kind, MediaError)
        raise (kind if is_known else MediaUnreadable)(answer.message)

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        """A new child; none where this machine never starts one: pages are then drawn unguarded.

        Raises MediaUnreadable where it only does not come up this time.
        """
        self.stop()
        if self._cannot_start:
            return
        try:
            self._process = _started()
        except (FileNotFoundError, PermissionError, ValueError) as error:
            self._cannot_start = True
            logger.warning(
                "no process can be started to render PDFs in (%s); they are rendered in this one, "
                "without bounds on time and memory",
                error,
            )
        except (OSError, EOFError) as error:  # now, for want of memory or processes
            raise MediaUnreadable(
                f"the process that renders PDFs did not start ({error}). Try again, or render the "
                "page yourself and pass the picture."
            ) from error

    def stop(self) -> None:
        """End the child, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            _kill(process)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                _close(pipe)

    def forget(self) -> None:
        """After a fork: the child belongs to the other process."""
        self.__init__()  # type: ignore[misc]


def _started() -> subprocess.Popen[bytes]:
    """Raises OSError, EOFError or ValueError where it does not come up."""
    if not sys.executable:
        raise ValueError("sys.executable is empty")
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE.format(path=[os.path.abspath(place) for place in sys.path])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C at the keyboard is for this process alone
    )
    timer = threading.Timer(_START_S, _kill, (process,))
    timer.start()
    try:
        assert process.stdout is not None
        if process.stdout.read(len(READY)) != READY:
            raise EOFError("the process ended at once")
    except BaseException:
        _kill(process)
        process.wait()
        _close(process.stdin)
        _close(process.stdout)
        raise
    finally:
        timer.cancel()
    return process


def _kill(process: subprocess.Popen[bytes], is_late: threading.Event | None = None) -> None:
    if is_late is not None:
        is_late.set()
    process.kill()


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:  # what was not sent cannot be flushed any more
        logger.debug("a pipe to the PDF process was broken", exc_info=True)


_RENDERER = _Renderer()
atexit.register(_RENDERER.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_RENDERER.forget)
