"""golden.json of a processor folder: scores that were published for known pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from mmrerank.errors import SpecError, shorten
from mmrerank.specs.schema import Scale
from mmrerank.specs.st_format import read_json

__all__ = ["GOLDEN_FILE", "GoldenCase", "read_golden"]

GOLDEN_FILE = "golden.json"
_KEYS = ("model", "dtype", "query", "documents", "scores", "scale", "tolerance")
_DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One query, its documents, and the score that each was published with.

    model: hub id. documents: texts, or dicts such as {"image": url}. scores: one a document, or a
    tuple of labels each. scale: on which the scores are. tolerance: what they may differ by.
    dtype: of the weights that gave them. source: where the numbers stand.
    """

    model: str
    query: str
    documents: tuple[str | Mapping[str, Any], ...]
    scores: tuple[float | tuple[float, ...], ...]
    scale: Scale
    tolerance: float
    dtype: str
    source: str


def read_golden(folder: Path) -> tuple[GoldenCase, ...]:
    """The cases of a processor folder, in order; () where it has none.

    Raises SpecError naming file and key when something is missing, unknown or of a wrong type.
    """
    path = folder / GOLDEN_FILE
    data = read_json(path)
    if data is None:
        return ()
    if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
        raise SpecError(f'{path}: needs {{"source": "...", "cases": [...]}}')
    if unknown := data.keys() - {"source", "cases"}:
        raise SpecError(f"{path}: unknown key {shorten(sorted(unknown)[0])}")
    source = data.get("source", "")
    return tuple(
        _case(case, source, f"{path}: cases[{index}]") for index, case in enumerate(data["cases"])
    )


def _case(data: Any, source: Any, where: str) -> GoldenCase:
    if not isinstance(data, dict):
        raise SpecError(f"{where}: needs an object, got {type(data).__name__}")
    source = data.get("source", source)
    if not isinstance(source, str) or not source:
        raise SpecError(f"{where}: no source is named, here or for the whole file")
    if missing := [key for key in _KEYS if key not in data]:
        raise SpecError(f"{where} needs {', '.join(missing)}")
    if unknown := data.keys() - {*_KEYS, "source"}:
        raise SpecError(f"{where}: unknown key {shorten(sorted(unknown)[0])}")
    _check_words(data, where)
    documents, scores = data["documents"], data["scores"]
    for key, kinds in (("documents", (str, dict)), ("scores", (int, float, list))):
        values = data[key]
        if not isinstance(values, list) or not all(isinstance(value, kinds) for value in values):
            raise SpecError(
                f"{where}: {key} needs a list of {' or '.join(k.__name__ for k in kinds)}"
            )
    if not documents or len(documents) != len(scores):
        raise SpecError(f"{where}: {len(documents)} documents and {len(scores)} scores")
    return GoldenCase(
        model=data["model"],
        query=data["query"],
        documents=tuple(documents),
        scores=tuple(tuple(map(float, s)) if isinstance(s, list) else float(s) for s in scores),
        scale=data["scale"],
        tolerance=float(data["tolerance"]),
        dtype=data["dtype"],
        source=source,
    )


def _check_words(data: Mapping[str, Any], where: str) -> None:
    """Fields that hold one value."""
    for key in ("model", "query"):
        if not isinstance(data[key], str) or not data[key]:
            raise SpecError(f"{where}: {key} = {shorten(data[key])}: needs a text")
    for key, allowed in (("scale", get_args(Scale)), ("dtype", _DTYPES)):
        if data[key] not in allowed:
            raise SpecError(f"{where}: {key} = {shorten(data[key])}: one of {', '.join(allowed)}")
    tolerance = data["tolerance"]
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or tolerance <= 0:
        raise SpecError(f"{where}: tolerance = {shorten(tolerance)}: needs a number above 0")
