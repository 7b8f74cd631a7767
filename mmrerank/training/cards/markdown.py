"""Pieces of Markdown that text from outside cannot break out of."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

__all__ = ["code", "folded", "plain", "table"]

_MAX_CELL_CHARS = 300
_MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in "|`[*"}


def plain(text: object, *, max_chars: int = _MAX_CELL_CHARS) -> str:
    """One line of escaped text, cut at the end."""
    whole = " ".join(str(text).split())
    cut = whole if len(whole) <= max_chars else whole[: max_chars - 1] + "…"
    return html.escape(cut, quote=False).translate(_MARKUP)


def code(text: object) -> str:
    """Escaped text in a fixed-width face, fit for a cell."""
    return f"<code>{plain(text)}</code>"


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of cells that are Markdown already; a cell that a row lacks is "-"."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [_row(names), _row([":--"] * len(names))]
    lines += [_row([row.get(name, "-") for name in names]) for row in rows]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def folded(title: str, body: str) -> str:
    """A body that is shown after a click on its title."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"
