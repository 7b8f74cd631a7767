"""The course of a run: losses and metrics by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmrerank.training.cards.markdown import folded, plain, table

__all__ = ["add_to_log", "logs_section"]

LogRow = dict[str, Any]

_FIRST = ("Epoch", "Step", "Training Loss", "Validation Loss")
_MAX_ROWS = 200
_MAX_OPEN_ROWS = 30


def add_to_log(rows: list[LogRow], epoch: float, step: int, values: Mapping[str, Any]) -> None:
    """Put values into the row of their step, which is the last one or a new one."""
    if not rows or rows[-1]["Step"] != step:
        rows.append({"Epoch": epoch, "Step": step})
    rows[-1].update(values)


def logs_section(rows: Sequence[LogRow], best_step: int | None) -> str:
    """A table of the rows, thinned out where there are very many; the saved step is bold."""
    shown = _thinned(rows)
    found = dict.fromkeys(name for row in rows for name in row)
    columns = [name for name in _FIRST if name in found] + [n for n in found if n not in _FIRST]
    cells = [
        {plain(name): _cell(row.get(name), is_bold=row["Step"] == best_step) for name in columns}
        for row in shown
    ]
    body = table(cells)
    if best_step is not None:
        body += "\n\nThe bold row is the step that was saved."
    if len(shown) < len(rows):
        body += f"\n\nShown are {len(shown)} of {len(rows):,} rows."
    if len(shown) > _MAX_OPEN_ROWS:
        body = folded(f"{len(shown)} rows", body)
    return f"### Training Logs\n\n{body}"


def _thinned(rows: Sequence[LogRow]) -> list[LogRow]:
    """The first and the last row, and evenly many between."""
    if len(rows) <= _MAX_ROWS:
        return list(rows)
    step = -(-len(rows) // _MAX_ROWS)
    last = len(rows) - 1
    return [row for place, row in enumerate(rows) if place % step == 0 or place == last]


def _cell(value: Any, *, is_bold: bool) -> str:
    if value is None:
        return "-"
    shown = f"{value:.4f}" if isinstance(value, float) else plain(value)
    return f"**{shown}**" if is_bold else shown
