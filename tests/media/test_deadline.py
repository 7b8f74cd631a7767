"""Deadlines, and calls that take no timeout of their own."""

from __future__ import annotations

import socket
import threading

import pytest

from mmrerank.media.deadline import Deadline, call_within


def test_deadline_that_has_passed_says_so_and_names_the_field():
    passed = Deadline(ends_at=0.0, timeout_s=3.5)
    assert passed.remaining_s < 0
    with pytest.raises(TimeoutError):
        passed.check()
    assert "within 3.5 s" in str(passed.passed())
    assert "MediaPolicy(timeout_s=...)" in str(passed.passed())


def test_endless_timeout_is_one_that_sockets_and_queues_take():
    endless = Deadline.after(float("inf"))
    assert call_within(endless, lambda: 7) == 7
    with socket.socket() as sock:
        sock.settimeout(endless.check())


def test_call_gives_its_result():
    assert call_within(Deadline.after(5), lambda: 7) == 7


def test_call_gives_its_error():
    def fail() -> None:
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        call_within(Deadline.after(5), fail)


def test_call_that_hangs_is_left_behind():
    released = threading.Event()
    with pytest.raises(TimeoutError):
        call_within(Deadline.after(0.05), lambda: released.wait(30))
    released.set()


def test_nothing_is_called_after_the_deadline():
    called: list[int] = []
    with pytest.raises(TimeoutError):
        call_within(Deadline(0.0, 1.0), lambda: called.append(1))
    assert called == []
