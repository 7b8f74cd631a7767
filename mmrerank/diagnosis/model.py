"""`mmrerank doctor MODEL`: every check of one model, and the verdict in a line."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mmrerank.diagnosis.finding import Finding, NotChecked, Probe, State, examine

if TYPE_CHECKING:
    from mmrerank.diagnosis.subject import Subject

__all__ = ["ModelReport", "diagnose_model"]

Check: TypeAlias = "Callable[[Subject], Finding | str]"

_MEANINGLESS = "scores mean nothing"
_LOAD_REMEDY = (
    "name the family with --processor NAME (see `mmrerank processors`) where its files do not say "
    "how it scores; else fetch them again"
)


@dataclass(frozen=True, slots=True)
class ModelReport:
    """Every finding on one model, in the order of the table."""

    name: str
    findings: Sequence[Finding]

    @property
    def can_score(self) -> bool:
        """Whether its scores mean something: nothing is broken."""
        return all(finding.state != "broken" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The report in one line, with what to do where something is wrong."""
        broken, limited = self._of("broken"), self._of("limited")
        if broken:
            also = ", ".join(finding.component for finding in broken[1:])
            told = (
                f"Scores of {self.name} would be meaningless: {broken[0].component}: "
                f"{broken[0].found.rstrip('.')}. What to do: {broken[0].remedy}."
                + (f" Also broken: {also}." if also else "")
            )
        elif limited:
            named = ", ".join(finding.component for finding in limited)
            remedy = next((finding.remedy for finding in limited if finding.remedy), "")
            todo = f" What to do: {remedy}." if remedy else ""
            told = f"{self.name} scores, but look at: {named} ({self._passed}).{todo}"
        else:
            told = f"{self.name} scores as it should: {self._passed}."
        return " ".join(told.split())

    def _of(self, state: State) -> list[Finding]:
        return [finding for finding in self.findings if finding.state == state]

    @property
    def _passed(self) -> str:
        num_skipped = len(self._of("skipped"))
        skipped = f", {num_skipped} not made" if num_skipped else ""
        return f"{len(self._of('ok'))} checks passed{skipped}"


def diagnose_model(
    name: str,
    *,
    processor: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> ModelReport:
    """Load a model and check it. What is wrong with it is a finding, never an error."""
    return ModelReport(name, list(_findings(name, processor, device, trust_remote_code)))


def _findings(
    name: str, processor: str | None, device: str | None, trust: bool
) -> Iterator[Finding]:
    loaded: list[Subject] = []

    def load() -> str:
        loaded.append(_load(name, processor, device, trust))
        return "loaded"

    finding = examine(Probe("loading", load, _MEANINGLESS, _LOAD_REMEDY))
    if not loaded:
        yield finding
        return
    from mmrerank.diagnosis.decisions import decision_probes

    yield from map(examine, decision_probes(loaded[0]))
    broken: str | None = None
    for check in _checks():
        found = examine(_probe(check, loaded[0], broken))
        yield found
        if check.blocks and found.state == "broken":
            broken = broken or found.component


@dataclass(frozen=True, slots=True)
class _Check:
    """blocks: whether checks that run the model are pointless where this one fails."""

    component: str
    look: Check
    remedy: str = "see the message"
    blocks: bool = False
    runs_model: bool = False
    is_timed: bool = False


def _checks() -> Iterator[_Check]:
    """In the order of the table: what is read first, then what is run."""
    from mmrerank.diagnosis import lengths, prompts, scoring, vocabulary, weights
    from mmrerank.diagnosis.golden import check_golden

    report = "report it with the model's name"
    fetch = "fetch the checkpoint again, or name its family with --processor"
    template = prompts.TEMPLATE_REMEDY
    run = partial(_Check, runs_model=True, is_timed=True)
    yield _Check("score tokens", vocabulary.check_score_tokens, fetch)
    yield _Check("vocabulary", vocabulary.check_vocabulary, fetch, blocks=True)
    yield _Check("trained weights", weights.check_trained, fetch)
    yield _Check("numbers", weights.check_finite, fetch, blocks=True)
    yield _Check("prompt", prompts.check_template, template, blocks=True)
    yield _Check("end of the prompt", prompts.check_end, template, runs_model=True)
    yield _Check("over-long document", lengths.check_truncation, report, runs_model=True)
    yield _Check("max_length", lengths.check_limit, blocks=True)
    yield run("scores", scoring.check_scores, fetch, blocks=True)
    yield run("packed = padded", scoring.check_packed, report)
    yield run("with a picture", scoring.check_pictures, report)
    yield run("longest prompt", lengths.check_longest, "pass a smaller max_length")
    yield run("golden pairs", check_golden, fetch)


def _probe(check: _Check, subject: Subject, broken: str | None) -> Probe:
    def look() -> Finding | str:
        if check.runs_model and broken is not None:
            raise NotChecked(f"first mend: {broken}")
        return check.look(subject)

    return Probe(check.component, look, _MEANINGLESS, check.remedy, is_timed=check.is_timed)


def _load(name: str, processor: str | None, device: str | None, trust: bool) -> Subject:
    from mmrerank import CrossEncoder
    from mmrerank.diagnosis.subject import Subject

    with _records() as records:
        model = CrossEncoder(name, device=device, processor=processor, trust_remote_code=trust)
    return Subject(name, model, tuple(records), processor)


@contextlib.contextmanager
def _records() -> Iterator[list[logging.LogRecord]]:
    """What this package warns of meanwhile; it is told in the table, not on stderr."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, handler = logging.getLogger("mmrerank"), Keep(logging.WARNING)
    others = logging.getLogger("transformers")
    before = logging.root.manager.disable, logger.propagate, others.level
    logger.addHandler(handler)
    logger.propagate = False
    others.setLevel(logging.ERROR)
    logging.disable(logging.NOTSET)  # the probe around this one has switched all loggers off
    try:
        yield records
    finally:
        logging.disable(before[0])
        logger.propagate = before[1]
        others.setLevel(before[2])
        logger.removeHandler(handler)
