"""`mmrerank doctor`: what works on this machine, or whether a model scores as it should."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mmrerank.cli._options import CommandError, Device, Processor

if TYPE_CHECKING:
    from mmrerank.diagnosis import Finding, ModelReport, Report

__all__ = ["doctor"]

_STYLES = {
    "ok": None,
    "missing": "dim",
    "skipped": "dim",
    "limited": "yellow",
    "broken": "bold red",
}


def doctor(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="Folder or hub id of a model to check. [default: the machine]"
        ),
    ] = None,
    processor: Processor = None,
    device: Device = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run Python code of the checkpoint.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of a table.")
    ] = False,
) -> None:
    """Check a model: its prompt, score tokens, weights, limits and published scores.

    Without MODEL: try decoders, devices and the embedded model, and say what is missing and what
    it costs. The exit code is 1 when scores would mean nothing, or the embedded model cannot score.
    """
    from mmrerank.diagnosis import diagnose, diagnose_model

    if model is None:
        if processor is not None or trust_remote_code:
            raise CommandError("--processor and --trust-remote-code need a MODEL to check.")
        report: Report | ModelReport = diagnose(device)
    else:
        report = diagnose_model(
            model, processor=processor, device=device, trust_remote_code=trust_remote_code
        )
    if as_json:
        _print_json(report)
    else:
        _print_table(report)
    if not report.can_score:
        raise typer.Exit(1)


def _print_json(report: Report | ModelReport) -> None:
    shown = {
        "can_score": report.can_score,
        "verdict": report.verdict,
        "findings": [asdict(finding) for finding in report.findings],
    }
    typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))


def _print_table(report: Report | ModelReport) -> None:
    from mmrerank.cli._tables import TextTable, print_table, print_text

    columns = ("component", "state", "ms", "found; what it costs → what to do")
    table = TextTable(*columns, is_wrapped=True)
    for finding in report.findings:
        took = "" if finding.took_ms is None else f"{finding.took_ms:,.0f}"
        cells = (finding.component, finding.state, took, _told(finding))
        table.add_row(*cells, style=_STYLES[finding.state])
    print_table(table)
    print_text(report.verdict, style="bold" if report.can_score else "bold red")


def _told(finding: Finding) -> str:
    parts = [finding.found] if finding.found else []
    if finding.state not in ("ok", "skipped"):
        parts.append(" → ".join(text for text in (finding.cost, finding.remedy) if text))
    return "; ".join(part for part in parts if part)
