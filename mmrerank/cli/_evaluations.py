"""What `mmrerank eval` runs, and what it leaves: a table, JSON, a page, scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mmrerank import CrossEncoder
    from mmrerank.evaluation.data import EvalData
    from mmrerank.evaluation.report import EvalReport

__all__ = ["Outputs", "evaluate_mteb", "evaluate_pairs"]

_EMBEDDED = "tiny-omni"  # what no name stands for


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where results go, and the training log that the page shows."""

    json_file: str | None
    html_file: Path | None
    folder: Path | None
    log_history: Sequence[Mapping[str, Any]]

    def write(self, results: Mapping[str, Any], report: EvalReport) -> None:
        """JSON and page, each where it was asked for; says on stderr what was written."""
        from mmrerank.evaluation.report import write_report
        from mmrerank.evaluation.results import finite, write_json

        if self.json_file == "-":
            typer.echo(json.dumps(finite(results), ensure_ascii=False, indent=2))
        in_folder = None if self.folder is None else self.folder / "results.json"
        named = None if self.json_file in (None, "-") else Path(str(self.json_file))
        for path in (named, in_folder):
            if path is not None:
                write_json(path, results)
                typer.echo(f"written: {path}", err=True)
        in_folder = None if self.folder is None else self.folder / "report.html"
        for path in (self.html_file, in_folder):
            if path is not None:
                write_report(path, report)
                typer.echo(f"written: {path}", err=True)


def evaluate_pairs(
    reranker: CrossEncoder,
    name: str | None,
    data: EvalData,
    outputs: Outputs,
    batch_size: int,
    instruction: str | None,
) -> None:
    """Score judged pairs and show all metrics that they allow."""
    from mmrerank.evaluation.measure import measure
    from mmrerank.evaluation.results import as_dict, report_of, write_scores

    name = name or _EMBEDDED
    scores = reranker.predict(
        [judged.pair for judged in data.pairs], batch_size=batch_size, instruction=instruction
    )
    measured = measure(data, scores)
    results = as_dict(name, data, measured)
    if outputs.json_file != "-":
        title = f"{name} on {data.name}: {results['num_pairs']:,} pairs"
        _print_metrics(title, measured.metrics, measured.before)
    for note in results["notes"]:
        typer.echo(f"note: {note}", err=True)
    history = outputs.log_history
    outputs.write(results, report_of(name, data, measured, scores, log_history=history))
    if outputs.folder is not None:
        write_scores(outputs.folder / "scores.jsonl", data, scores)


def evaluate_mteb(
    reranker: CrossEncoder,
    name: str | None,
    task: Any,
    outputs: Outputs,
    batch_size: int,
    instruction: str | None,
) -> None:
    """Run one task of mteb and show its main metrics."""
    from mmrerank.evaluation.mteb_model import MTEBReranker, run_task
    from mmrerank.evaluation.report import EvalReport, Table

    name = name or _EMBEDDED
    modalities = reranker.modalities
    wrapped = MTEBReranker(reranker, name, modalities=modalities, instruction=instruction)
    found = run_task(wrapped, task, batch_size=batch_size)
    numbers = {
        (split, entry["hf_subset"], metric): value
        for split, entries in found["scores"].items()
        for entry in entries
        for metric, value in entry.items()
        if isinstance(value, (int, float)) and metric in _SHOWN_OF_MTEB
    }
    metrics = {" ".join(key): float(value) for key, value in numbers.items()}
    title = f"{name} on {found['task_name']}"
    if outputs.json_file != "-":
        _print_metrics(title, metrics, {})
    rows = [[*key, float(value)] for key, value in numbers.items()]
    table = Table(found["task_name"], ["split", "subset", "metric", "value"], rows)
    report = EvalReport(title, {"Model": name}, tables=[table], log_history=outputs.log_history)
    outputs.write({"model": name, **found}, report)


_SHOWN_OF_MTEB = (
    "main_score",
    "ndcg_at_10",
    "map_at_10",
    "mrr_at_10",
    "recall_at_10",
    "map",
    "mrr",
)


def _print_metrics(title: str, metrics: Mapping[str, float], before: Mapping[str, float]) -> None:
    """The table on stdout; with the earlier stage's numbers where there was one."""
    from mmrerank.cli._tables import TextTable, print_table, print_text

    columns = ["metric", "before", "reranked", "gain"] if before else ["metric", "value"]
    table = TextTable(*columns)
    print_text(title, style="bold")
    for key, value in metrics.items():
        shown = f"{value:.4f}"
        if before:
            base = before.get(key)
            gain = "" if base is None else f"{value - base:+.4f}"
            table.add_row(key, "" if base is None else f"{base:.4f}", shown, gain)
        else:
            table.add_row(key, shown)
    print_table(table)
