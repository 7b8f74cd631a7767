"""The end of a process that trains beside others."""

from __future__ import annotations

import atexit
import time

from torch import distributed

__all__ = ["leave_in_peace"]

_PAUSE_S = 0.1


def leave_in_peace() -> None:
    """Let a process that meets others by gloo, as on CPUs, end with its own exit code.

    A thread of gloo lets go of the last tensors after their caller went on, and waits for the
    interpreter to do so. Where that ends meanwhile the process aborts, all of its work done:
    "terminate called without an active exception" (one short run in thirty; torch 2.15,
    pytorch/pytorch#179291).
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    if "gloo" in distributed.get_backend():
        atexit.unregister(_pause)  # once is enough, however many trainers there were
        atexit.register(_pause)


def _pause() -> None:
    time.sleep(_PAUSE_S)
