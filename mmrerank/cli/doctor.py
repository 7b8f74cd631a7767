"""`mmrerank doctor`: what works on this machine, and what each missing thing costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mmrerank.cli._options import Device

if TYPE_CHECKING:
    from mmrerank.diagnosis import Finding, Report

__all__ = ["doctor"]

_STYLES = {"ok": None, "missing": "dim", "limited": "yellow", "broken": "bold red"}


def doctor(
    device: Device = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of a table.")
    ] = False,
) -> None:
    """Try decoders, devices and the embedded model, and say what is missing and what it costs.

    The exit code is 1 when the embedded model cannot score a pair; all else is a warning.
    """
    from mmrerank.diagnosis import diagnose

    report = diagnose(device)
    if as_json:
        _print_json(report)
    else:
        _print_table(report)
    if not report.can_score:
        raise typer.Exit(1)


def _print_json(report: Report) -> None:
    shown = {
        "can_score": report.can_score,
        "verdict": report.verdict,
        "findings": [asdict(finding) for finding in report.findings],
    }
    typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))


def _print_table(report: Report) -> None:
    from mmrerank.cli._tables import TextTable, print_table, print_text

    table = TextTable("component", "state", "ms", "found; without it → what to do", is_wrapped=True)
    for finding in report.findings:
        took = "" if finding.took_ms is None else f"{finding.took_ms:,.0f}"
        cells = (finding.component, finding.state, took, _told(finding))
        table.add_row(*cells, style=_STYLES[finding.state])
    print_table(table)
    print_text(report.verdict, style="bold" if report.can_score else "bold red")


def _told(finding: Finding) -> str:
    parts = [finding.found] if finding.found else []
    if finding.state != "ok":
        parts.append(" → ".join(text for text in (finding.cost, finding.remedy) if text))
    return "; ".join(part for part in parts if part)
