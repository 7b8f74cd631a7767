"""One row of the report, and how a probe becomes one whatever happens in it."""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mmrerank.errors import MMRerankError, shorten

__all__ = ["Absent", "Finding", "NotChecked", "Probe", "State", "examine"]

State: TypeAlias = Literal["ok", "limited", "missing", "broken", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one component.

    found:  version, place or measure; of a broken one, the reason.
    cost:   what goes without it; "" where nothing does.
    remedy: what to do.
    took_ms: how long the trial took, None where nothing was tried.
    """

    component: str
    state: State
    found: str = ""
    cost: str = ""
    remedy: str = ""
    took_ms: float | None = None


class Absent(Exception):
    """Raised by a probe whose component is simply not installed."""


class NotChecked(Exception):
    """Raised by a probe that cannot be made here; says why."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A component and how to look at it.

    look: returns what was found, or a whole Finding where a sentence is not enough.
    cost, remedy: told when it is not as it should be. is_timed: a trial, whose time is worth a
    column.
    """

    component: str
    look: Callable[[], str | Finding]
    cost: str = ""
    remedy: str = ""
    is_timed: bool = False


def examine(probe: Probe) -> Finding:
    """Run a probe by itself: whatever it raises is its own finding and no other's."""
    start_s = time.perf_counter()
    with _quiet():
        finding = _looked(probe)
    if finding.state not in ("ok", "skipped"):
        cost, remedy = finding.cost or probe.cost, finding.remedy or probe.remedy
        finding = replace(finding, cost=cost, remedy=remedy)
    if probe.is_timed and finding.state in ("ok", "limited"):
        finding = replace(finding, took_ms=(time.perf_counter() - start_s) * 1_000)
    return finding


def _looked(probe: Probe) -> Finding:
    try:
        found = probe.look()
    except Absent as absent:
        return Finding(probe.component, "missing", str(absent))
    except NotChecked as reason:
        return Finding(probe.component, "skipped", f"not checked: {reason}")
    except (Exception, SystemExit) as error:  # a broken library may raise anything when imported
        text = str(error).strip().splitlines()[:1]
        max_chars = 400 if isinstance(error, MMRerankError) else 160  # ours say what to do
        told = shorten("".join(text), max_chars=max_chars)[1:-1]
        return Finding(probe.component, "broken", f"{type(error).__name__}: {told}")
    return found if isinstance(found, Finding) else Finding(probe.component, "ok", found)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What libraries warn of while they are tried is no part of the report."""
    before, nowhere = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.ERROR)
    try:
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),  # progress bars too
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
