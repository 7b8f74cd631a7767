"""EvalReport → one HTML file: no scripts, nothing loaded from elsewhere, all text escaped."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmrerank.evaluation.report.content import EvalReport, ScoredExample, Table
from mmrerank.evaluation.report.plots import plots_of

__all__ = ["render_report", "write_report"]

_MAX_CELL_CHARS = 400
# The page needs no script and no address; should a text slip through, the browser runs nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_report(path: str | Path, report: EvalReport) -> None:
    """Write the page. Folders on the way are made; the file appears whole or not at all.

    Raises MissingExtra where matplotlib or scikit-learn is missing.
    """
    path = Path(path)
    page = render_report(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    # A lone surrogate of a broken text has no UTF-8.
    unfinished.write_text(page, encoding="utf-8", errors="replace")
    unfinished.replace(path)


def render_report(report: EvalReport) -> str:
    """The page as text."""
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    body = "\n".join(part for part in _parts(report) if part)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{_text(report.title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
<footer>Made by mmrerank.</footer>
</main>
</body>
</html>
"""


def _parts(report: EvalReport) -> Iterable[str]:
    yield _header(report)
    notes = "".join(f"<p>{_text(note)}</p>" for note in report.notes)
    yield f'<div class="notes">{notes}</div>' if notes else ""
    tables = "".join(_section(table.title, _table(table)) for table in report.tables)
    several = " several" if len(report.tables) > 1 else ""
    yield f'<div class="tables{several}">{tables}</div>' if tables else ""
    plots = "".join(
        _section(title, f"<p>{_text(sentence)}</p>{svg}")
        for title, sentence, svg in plots_of(report)
    )
    yield f'<div class="plots">{plots}</div>' if plots else ""
    if report.examples:
        yield _section("Pairs to look at", _examples(report.examples))


def _header(report: EvalReport) -> str:
    facts = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in report.facts.items()
    )
    headline = ""
    if report.headline is not None:
        name, value = report.headline
        headline = f'<div class="headline"><b>{_number(value)}</b>{_text(name)}</div>'
    listed = f"<dl>{facts}</dl>" if facts else ""
    return f"<header><div><h1>{_text(report.title)}</h1>{listed}</div>{headline}</header>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{content}</section>"


def _table(table: Table) -> str:
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    is_number = [
        all(not isinstance(row[i], str) for row in table.rows if i < len(row))
        for i in range(len(table.columns))
    ]
    names = "".join(
        f'<th class="number">{_text(name)}</th>' if right else f"<th>{_text(name)}</th>"
        for name, right in zip(table.columns, is_number, strict=True)
    )
    head = f"<thead><tr>{names}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _cell(value: str | float | None) -> str:
    if isinstance(value, str):
        return f"<td>{_text(value)}</td>"
    return f'<td class="number">{"" if value is None else _number(value)}</td>'


def _examples(examples: Sequence[ScoredExample]) -> str:
    head = (
        "<thead><tr><th>query</th><th>document</th>"
        '<th class="number">label</th><th class="number">score</th></tr></thead>'
    )
    rows = "".join(
        f"<tr><td>{_text(one.query)}</td><td>{_text(one.document)}</td>"
        f'<td class="number {"good" if one.label > 0 else "bad"}">{one.label:g}</td>'
        f'<td class="number">{_number(one.score)}</td></tr>'
        for one in examples
    )
    said = "<p>Matches with the lowest scores, and others with the highest.</p>"
    return f'{said}<div class="scroll examples"><table>{head}<tbody>{rows}</tbody></table></div>'


def _number(value: float) -> str:
    """Four digits behind the point; whole numbers as they are."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}"


def _text(value: str) -> str:
    shown = value if len(value) <= _MAX_CELL_CHARS else value[: _MAX_CELL_CHARS - 1] + "…"
    return html.escape(shown)
