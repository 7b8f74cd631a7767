"""matplotlib to SVG that takes its colours and letters from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from mmrerank.extras import require

__all__ = ["AFTER", "BEFORE", "FAINT", "NEGATIVE", "POSITIVE", "draw", "label_axes"]

# Drawn in these, and replaced by the page's variables: one picture for dark and light.
_TEXT, FAINT = "#010101", "#020202"
POSITIVE, NEGATIVE, AFTER, BEFORE = "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {
    _TEXT: "var(--text)",
    FAINT: "var(--line)",
    POSITIVE: "var(--positive)",
    NEGATIVE: "var(--negative)",
    AFTER: "var(--accent)",
    BEFORE: "var(--muted)",
}
_WIDTH_INCH, _HEIGHT_INCH = 4.6, 3.0


def draw(name: str, paint: Callable[[Any], None]) -> str:
    """An <svg> element. name: unlike for each picture of a page, since ids are made of it.

    paint: draws on the axes it is given.
    """
    matplotlib = require("matplotlib", to="draw a report")
    settings = {
        "svg.fonttype": "none",  # letters stay letters: they can be searched, and are small
        "svg.hashsalt": name,
        "font.size": 11,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": _TEXT,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "xtick.color": _TEXT,
        "ytick.color": _TEXT,
        "text.color": _TEXT,
        "text.parse_math": False,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
    }
    with matplotlib.rc_context(settings):
        # Figure, not pyplot: no window system, nothing kept in a global list.
        figure = require("matplotlib.figure", to="draw a report").Figure(
            (_WIDTH_INCH, _HEIGHT_INCH), layout="tight"
        )
        paint(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(buffer.getvalue(), name)


def label_axes(axes: Any, x: str, y: str) -> None:
    """Name both axes."""
    axes.set_xlabel(x)
    # The page's letters may be wider than those that matplotlib measured.
    axes.set_ylabel(y, labelpad=8)


def _for_page(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    # Its <style> would hold for the whole page; ours has the same rule.
    svg = re.sub(r"<(metadata|style).*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
