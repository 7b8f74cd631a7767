"""What a run of `mmrerank train` shows: a table, JSON, a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmrerank.cli._evaluations import Outputs
from mmrerank.cli._tables import TextTable, print_table, print_text
from mmrerank.evaluation.report import EvalReport, Table

__all__ = ["show_gain", "show_run"]


def _facts(results: Mapping[str, Any]) -> dict[str, str]:
    loss = results["final_loss"]
    return {
        "Trained from": str(results["model"]),
        "Training data": f"{results['data']}, {results['num_rows']:,} rows",
        "Loss": results["options"]["loss"],
        "Steps": f"{results['num_steps']:,} in {results['seconds']:,.0f} s",
        "Last training loss": "-" if loss is None else f"{loss:.4f}",
    }


def show_run(results: Mapping[str, Any], outputs: Outputs) -> None:
    """What there is to say without held-out data."""
    facts = _facts(results)
    if outputs.json_file != "-":
        table = TextTable("training", "value")
        for key, value in {**facts, "Model": results["out"]}.items():
            table.add_row(key, value)
        print_table(table)
    title = f"Training of {Path(results['out']).name}"
    outputs.write(results, EvalReport(title, facts, log_history=outputs.log_history))


def show_gain(results: Mapping[str, Any], report: EvalReport, outputs: Outputs) -> None:
    """Metrics before and after. report: the page of the evaluation after."""
    facts = _facts(results)
    gains = _gains(results["before"], results["metrics"])
    if outputs.json_file != "-":
        print_text(f"{results['out']}: {facts['Steps']}, loss {facts['Last training loss']}")
        table = TextTable("metric", "before", "trained", "gain")
        for name, start, end, gain in gains:
            table.add_row(name, f"{start:.4f}", f"{end:.4f}", f"{gain:+.4f}")
        print_table(table)
    gained = Table("Training", ["metric", "before", "trained", "gain"], gains)
    page = replace(report, facts={**report.facts, **facts}, tables=[gained])
    outputs.write(results, page)


def _gains(
    before: Mapping[str, float], after: Mapping[str, float]
) -> list[tuple[str, float, float, float]]:
    return [
        (name, before[name], value, value - before[name])
        for name, value in after.items()
        if name in before
    ]
