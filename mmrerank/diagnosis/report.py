"""All probes in one report, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mmrerank.diagnosis.finding import Finding, Probe, examine
from mmrerank.diagnosis.libraries import library_probes
from mmrerank.diagnosis.machine import machine_probes
from mmrerank.diagnosis.trials import MAIN_JOB, device_probe, main_probe, trial_probes

__all__ = ["Report", "diagnose"]


@dataclass(frozen=True, slots=True)
class Report:
    """Every finding, in the order of the table; the main job stands last."""

    findings: Sequence[Finding]

    @property
    def can_score(self) -> bool:
        """Whether the main job runs: the embedded model has scored a pair."""
        return self.findings[-1].state in ("ok", "limited")

    @property
    def verdict(self) -> str:
        """The report in a sentence."""
        main = self.findings[-1]
        poor = [f.component for f in self.findings[:-1] if f.state in ("broken", "limited")]
        missing = sum(finding.state == "missing" for finding in self.findings)
        but = f" Not as it should be: {', '.join(poor)}." if poor else ""
        if not self.can_score:
            return f"mmrerank cannot score here: {main.found}.{but}"
        if main.state == "limited":
            return f"mmrerank scores here, but {main.cost}.{but}"
        absent = f" {missing} optional parts are not installed." if missing else ""
        return f"mmrerank scores here.{but}{absent}"


def diagnose(device: str | None = None) -> Report:
    """Try everything. device: where to score; None = where a model would go by itself."""
    return Report([examine(probe) for probe in _probes(device)])


def _probes(device: str | None) -> Iterator[Probe]:
    yield from library_probes()
    yield device_probe(device)
    yield from machine_probes(device)
    yield from trial_probes()
    main = main_probe(device)
    assert main.component == MAIN_JOB, "the verdict reads the last finding"
    yield main
