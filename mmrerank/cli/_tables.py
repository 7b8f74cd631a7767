"""Tables on stdout: plain text, one line a row, as wide as the terminal."""

from __future__ import annotations

import sys

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["TextTable", "print_table", "print_text"]

_RIGHT = {"rank", "score", "#", "ms"}
_PIPE_COLUMNS = 160  # where stdout is no terminal there is no width to ask for


class TextTable:
    """A rich table whose cells are taken literally: square brackets in a document are no markup.

    Where the terminal is too narrow, only the last column is cut, or with `is_wrapped` goes on in
    the next line.
    """

    def __init__(self, *columns: str, title: str | None = None, is_wrapped: bool = False) -> None:
        self._is_wrapped = is_wrapped
        self.rich = Table(
            title=Text(title) if title else None, title_justify="left", box=SIMPLE_HEAD
        )
        for name in columns:
            self.rich.add_column(
                name,
                justify="right" if name in _RIGHT else "left",
                # Rich narrows the columns that may wrap; the cells then are cut, not wrapped.
                no_wrap=name != columns[-1],
            )

    def add_row(self, *cells: str, style: str | None = None) -> None:
        """Add one row of plain strings."""
        texts = [Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells]
        if self._is_wrapped:
            texts[-1] = Text(cells[-1], overflow="fold")
        self.rich.add_row(*texts, style=style)


def print_table(table: TextTable) -> None:
    """Write a table to stdout."""
    _console().print(table.rich)


def print_text(text: str, *, style: str | None = None) -> None:
    """Write plain text to stdout, its lines as they are: a terminal folds them, a pipe does not."""
    _console().print(Text(text, style=style or ""), soft_wrap=True)


def _console() -> Console:
    # Made for each use: tests and pipes change sys.stdout.
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_COLUMNS)
