"""The figures of benchmarks.vs_peer as a picture for the README: python -m benchmarks.plot."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Bar", "draw", "main", "read_bars"]

_ROOT = Path(__file__).parents[1]
_FIGURES = _ROOT / "benchmarks" / "results" / "vs_peer.json"
_PICTURE = _ROOT / "docs" / "speed.svg"

# Readable on white and on near-black pages alike; the picture has no ground of its own.
_TEXT = "#7d8590"
_OURS = "#2f81f7"
_ASKED = "#d29922"
_INCHES_A_BAR = 0.42


@dataclass(frozen=True, slots=True)
class Bar:
    """How many times as fast one work is done as by the peer, by the rounds' median."""

    name: str
    ratio: float
    least: float
    most: float
    asked: float


def read_bars(report: Mapping[str, Any]) -> list[Bar]:
    """The bars of what `benchmarks.vs_peer --json` writes, in its order.

    A bar is named after who is fast where a case has several, or that is not ours as it comes; one
    measured against another than the peer as it comes says which.
    """
    bars = []
    for case in report["cases"]:
        for target in case["targets"]:
            is_named = len(case["targets"]) > 1 or target["fast"] != "ours"
            suffix = f"\n{target['fast']}" if is_named else ""
            if target["slow"] != "peer":
                suffix += f"\nagainst {target['slow']}"
            ratio = target["ratio"]
            bars.append(
                Bar(
                    case["name"] + suffix,
                    ratio["median"],
                    ratio["min"],
                    ratio["max"],
                    target["least_ratio"],
                )
            )
    return bars


def draw(bars: Sequence[Bar], note: str, file: Path) -> None:
    """Write the picture; its kind is the file's ending. note: machine and versions, below it."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    # The same bytes for the same figures, so that git shows no change where there is none.
    style = {"svg.hashsalt": "mmrerank", "font.size": 10.5, "text.color": _TEXT}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8.2, _INCHES_A_BAR * len(bars) + 1.35))
        _draw_bars(axes, bars)
        figure.text(0.99, 0.01, note, ha="right", va="bottom", fontsize=8)
        figure.tight_layout(rect=(0, 0.045, 1, 1))
        metadata = {"Date": None} if file.suffix == ".svg" else None
        figure.savefig(file, transparent=True, metadata=metadata, dpi=150)
        pyplot.close(figure)


def _draw_bars(axes: Any, bars: Sequence[Bar]) -> None:
    places = range(len(bars))
    widest = max(bar.most for bar in bars)
    axes.barh(places, [bar.ratio for bar in bars], height=0.58, color=_OURS)
    for place, bar in zip(places, bars, strict=True):
        axes.plot([bar.least, bar.most], [place, place], color=_TEXT, linewidth=1.6)
        axes.plot([bar.asked] * 2, [place - 0.4, place + 0.4], color=_ASKED, linewidth=2.2)
        end = max(bar.most, bar.ratio, bar.asked)
        axes.text(end + widest * 0.015, place, f"{bar.ratio:.1f}×", va="center", weight="bold")
    axes.axvline(1.0, color=_TEXT, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_yticks(places, [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, widest * 1.12)
    axes.set_title(
        "Times as fast as sentence-transformers (dashed), same checkpoints\n"
        "bar: median of the rounds   line: least to most   mark: aim",
        color=_TEXT,
        fontsize=10.5,
        loc="left",
        x=0.0,
    )
    axes.tick_params(colors=_TEXT, length=0)
    axes.spines[:].set_visible(False)


def _note(machine: Mapping[str, Any]) -> str:
    versions = machine["versions"]
    named = ("sentence-transformers", "transformers", "torch")
    return ", ".join(
        [
            f"{machine['torch_threads']} cores of {machine['cpu']}, float32 unless said",
            *(f"{name} {versions[name]}" for name in named),
            str(machine["date"])[:10],
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the figures, write the picture."""
    parser = argparse.ArgumentParser("python -m benchmarks.plot", description=__doc__)
    parser.add_argument("figures", type=Path, nargs="?", default=_FIGURES, help="of vs_peer --json")
    parser.add_argument("--out", type=Path, default=_PICTURE, help="default: %(default)s")
    given = parser.parse_args(arguments)
    if not given.figures.is_file():
        raise SystemExit(
            f"{given.figures} is not there; make it: "
            f"python -m benchmarks.vs_peer --json {given.figures}"
        )
    report = json.loads(given.figures.read_text(encoding="utf-8"))
    draw(read_bars(report), _note(report["machine"]), given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
