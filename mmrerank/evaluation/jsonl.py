"""JSONL files of labelled pairs or of queries with their documents → EvalData."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mmrerank.errors import InputError, shorten
from mmrerank.evaluation.data import EvalData, JudgedPair, json_lines
from mmrerank.evaluation.documents import document_key
from mmrerank.inputs import parse_document
from mmrerank.inputs.relative import rebase
from mmrerank.types import Document, Pair

__all__ = ["read_jsonl"]

_FORMS = (
    'a line is {"query", "document", "label"}, {"query", "positive": […], "negative": […]} or '
    '{"query", "documents": […], "labels": […]}'
)


def read_jsonl(path: str | Path, *, takes_media: bool = True, limit: int | None = None) -> EvalData:
    """Judged pairs of a JSONL file. Relative paths of media start from the file's folder.

    A line is one pair {"query", "document", "label"} (or "score" for "label"), or one query with
    {"positive", "negative"} or {"documents", "labels"}. "instruction" and "query_id" may be added;
    other keys are left alone. limit: how many lines are read.
    Raises InputError with file and line for a line that is none of these.
    """
    path = Path(path)
    reader = _Reader(path.parent.absolute(), takes_media)
    for where, row in islice(json_lines(path), limit):
        reader.add(where, row)
    judgements: dict[str, dict[str, float]] = {}
    for judged in reader.pairs:
        judgements.setdefault(judged.query_id, {})[judged.document_id] = judged.label
    return EvalData(path.name, reader.pairs, judgements)


@dataclass(slots=True)
class _Reader:
    """Collects pairs; equal queries of several lines are one query."""

    folder: Path
    takes_media: bool
    pairs: list[JudgedPair] = field(default_factory=list)
    query_ids: dict[Any, str] = field(default_factory=dict)

    def add(self, where: str, row: Mapping[str, Any]) -> None:
        """The pairs of one line."""
        if "query" not in row:
            raise InputError(f"{where}: the key 'query' is missing; {_FORMS}.")
        query = self._document(row["query"], f"{where} (query)")
        query_id = self._query_id(row, query)
        instruction = row.get("instruction")
        if not isinstance(instruction, str | None):
            raise InputError(f"{where}: instruction is a text, got {shorten(instruction)}.")
        for side, value, label in _judged(row, where):
            document = self._document(value, f"{where} ({side})")
            index = len(self.pairs)
            pair = Pair(index, query, document, instruction)
            self.pairs.append(JudgedPair(query_id, f"d{index}", pair, label))

    def _document(self, value: Any, where: str) -> Document:
        parsed = parse_document(value, where=where, takes_media=self.takes_media)
        return rebase(parsed, self.folder)

    def _query_id(self, row: Mapping[str, Any], query: Document) -> str:
        if "query_id" in row:
            return str(row["query_id"])
        return self.query_ids.setdefault(document_key(query), f"q{len(self.query_ids)}")


# ------------------------------------------------------------ the three forms

_Judged = Iterator[tuple[str, Any, float]]  # (name in errors, document, label)


def _judged(row: Mapping[str, Any], where: str) -> _Judged:
    for key, read in _READERS.items():
        if key in row:
            return read(row, where)
    raise InputError(f"{where}: no document; it has {shorten(list(row))}, but {_FORMS}.")


def _one_pair(row: Mapping[str, Any], where: str) -> _Judged:
    key = "score" if "label" not in row and "score" in row else "label"
    label = _label(_needed(row, key, where), f"{where} ({key})")
    yield "document", row["document"], label


def _positives(row: Mapping[str, Any], where: str) -> _Judged:
    for key, label in (("positive", 1.0), ("negative", 0.0)):
        for index, document in enumerate(_documents(_needed(row, key, where))):
            yield f"{key}[{index}]", document, label


def _graded(row: Mapping[str, Any], where: str) -> _Judged:
    documents, labels = _needed(row, "documents", where), _needed(row, "labels", where)
    if not isinstance(documents, list) or not isinstance(labels, list):
        raise InputError(f"{where}: documents and labels are lists.")
    if len(documents) != len(labels):
        raise InputError(
            f"{where}: {len(documents)} documents and {len(labels)} labels; one label each is "
            "needed."
        )
    for index, (document, label) in enumerate(zip(documents, labels, strict=True)):
        yield f"documents[{index}]", document, _label(label, f"{where} (labels[{index}])")


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], _Judged]] = {
    "documents": _graded,
    "positive": _positives,
    "document": _one_pair,
}


def _needed(row: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in row:
        raise InputError(
            f"{where}: the key {key!r} is missing; it has {shorten(list(row))}, but {_FORMS}."
        )
    return row[key]


def _documents(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _label(value: Any, where: str) -> float:
    if not isinstance(value, (bool, int, float)) or not math.isfinite(value):
        raise InputError(f"{where}: a label is a finite number, got {shorten(value)}.")
    return float(value)
