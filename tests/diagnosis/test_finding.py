"""A probe by itself: whatever happens in it becomes one row and no more."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from mmrerank.diagnosis.finding import Absent, Finding, NotChecked, Probe, examine


def raising(error: BaseException) -> Probe:
    def look() -> str:
        raise error

    return Probe("thing", look, "no things", "get one")


def test_what_a_probe_returns_is_what_was_found():
    assert examine(Probe("thing", lambda: "1.0", "no things", "get one")) == Finding(
        "thing", "ok", "1.0"
    )


@pytest.mark.parametrize(
    "error",
    [ImportError("no libfoo"), OSError("no libfoo"), ValueError("no libfoo"), SystemExit(3)],
)
def test_error_of_a_probe_is_its_finding(error: BaseException):
    finding = examine(raising(error))
    assert (finding.state, finding.cost, finding.remedy) == ("broken", "no things", "get one")
    assert finding.found.startswith(type(error).__name__)


def test_reason_is_one_short_line():
    found = examine(raising(RuntimeError("first " + "x" * 9_000 + "\nsecond"))).found
    assert len(found) < 200
    assert "second" not in found


def test_what_is_not_installed_is_missing_not_broken():
    assert examine(raising(Absent())).state == "missing"


def test_what_cannot_be_checked_here_costs_nothing():
    finding = examine(raising(NotChecked("it takes no pictures")))
    assert finding == Finding("thing", "skipped", "not checked: it takes no pictures")


def test_interrupt_of_the_user_ends_the_report():
    with pytest.raises(KeyboardInterrupt):
        examine(raising(KeyboardInterrupt()))


def test_only_a_trial_has_a_time():
    timed = examine(Probe("thing", lambda: "1.0", is_timed=True))
    assert timed.took_ms is not None
    assert timed.took_ms >= 0
    assert examine(Probe("thing", lambda: "1.0")).took_ms is None


def test_probe_that_talks_leaves_the_terminal_alone(capsys, caplog):
    def look() -> str:
        print("noise")
        print("noise", file=sys.stderr)
        warnings.warn("noise", stacklevel=1)
        logging.getLogger("somebody").error("noise")
        return "1.0"

    assert examine(Probe("thing", look)).state == "ok"
    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""
    logging.getLogger("somebody").error("heard again")
    assert "heard again" in caplog.text
