"""Which of three forms the rows of a file have, and their columns in that form.

pairs:  query, document and a label;
tuples: query, positive, negative, negative_1 …, one document each;
lists:  query, documents and labels, as many of the one as of the other.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Literal

from mmrerank.errors import InputError, shorten
from mmrerank.training.data.lines import Row
from mmrerank.training.labels import LABEL_COLUMNS

__all__ = ["DOCUMENT_COLUMNS", "Form", "Reader", "columns_of_rows", "is_document_column"]

logger = logging.getLogger(__name__)

Form = Literal["pairs", "tuples", "lists"]
Reader = Callable[[Any, str], Any]  # value, where → plain document

DOCUMENT_COLUMNS = ("query", "document", "documents", "positive", "negative")
_NUMBERED = re.compile(r"(positive|negative)_?\d*")
_EXPECTED = (
    '{"query", "document", "label"}, {"query", "positive", "negative"} or '
    '{"query", "documents", "labels"}'
)


def is_document_column(name: str) -> bool:
    """Whether a column of that name holds queries or documents."""
    return name in DOCUMENT_COLUMNS or _NUMBERED.fullmatch(name) is not None


def columns_of_rows(rows: Sequence[Row], read: Reader) -> dict[str, list[Any]]:
    """Columns by name; `read` turns each value of a query or document into a plain one.

    Raises InputError, naming file and line, for a row of another form than the first, for fields
    that are missing, and for labels that are no numbers.
    """
    if not rows:
        raise InputError("there are no rows in the training data")
    names = _names_of(rows[0])
    for row in rows:
        _check_fields(row, names)
    documents = [name for name in names if name not in LABEL_COLUMNS]
    label = next((name for name in names if name in LABEL_COLUMNS), None)
    if "documents" in documents:
        return _lists(rows, label, read)
    if "document" in documents:
        return _pairs(rows, label, read)
    if any(isinstance(row.fields[n], list) for row in rows for n in documents if n != "query"):
        return _lists_of_tuples(rows, documents, read)
    return {name: [read(row.fields[name], _at(row, name)) for row in rows] for name in documents}


def _at(row: Row, name: str) -> str:
    return f"{row.where}, {name}"


# ------------------------------------------------------------ fields


def _names_of(row: Row) -> list[str]:
    """Fields of the first row that count: query first, documents in their order, the label last."""
    known = [name for name in row.fields if is_document_column(name) or name in LABEL_COLUMNS]
    unknown = [name for name in row.fields if name not in known]
    labels = [name for name in known if name in LABEL_COLUMNS]
    documents = [name for name in known if name not in (*LABEL_COLUMNS, "query")]
    forms = {_NUMBERED.sub("positive", name) for name in documents}
    if "query" not in known or len(forms) != 1 or len(labels) > 1:
        near = [
            m for n in unknown for m in get_close_matches(n, (*DOCUMENT_COLUMNS, *LABEL_COLUMNS), 1)
        ]
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{row.where}: fields {shorten(list(row.fields))}; expected {_EXPECTED}{hint}"
        )
    if unknown:
        logger.warning("%s: fields that are not used: %s", row.where, shorten(unknown))
    return ["query", *documents, *labels]


def _check_fields(row: Row, names: Sequence[str]) -> None:
    missing = [name for name in names if row.fields.get(name) is None]
    extra = [
        name
        for name in row.fields
        if name not in names and (is_document_column(name) or name in LABEL_COLUMNS)
    ]
    if missing or extra:
        wrong = f"no {missing[0]!r}" if missing else f"{extra[0]!r}, which the first row lacks"
        raise InputError(f"{row.where}: {wrong}; every row has the fields {', '.join(names)}")


# ------------------------------------------------------------ forms


def _pairs(rows: Sequence[Row], label: str | None, read: Reader) -> dict[str, list[Any]]:
    columns = {
        name: [read(row.fields[name], _at(row, name)) for row in rows]
        for name in ("query", "document")
    }
    if label is not None:
        columns["label"] = _whole([_number(row.fields[label], _at(row, label)) for row in rows])
    return columns


def _lists(rows: Sequence[Row], label: str | None, read: Reader) -> dict[str, list[Any]]:
    if label is None:
        raise InputError(f"{rows[0].where}: no 'labels', one for each of the documents")
    queries, documents, labels = [], [], []
    for row in rows:
        found = _listed(row, "documents")
        numbers = [_number(v, _at(row, label)) for v in _listed(row, label)]
        if len(found) != len(numbers):
            raise InputError(
                f"{row.where}: {len(found)} documents and {len(numbers)} labels; "
                "give one label a document"
            )
        queries.append(read(row.fields["query"], _at(row, "query")))
        documents.append(_read_all(found, _at(row, "documents"), read))
        labels.append(numbers)
    return {"query": queries, "documents": documents, "labels": labels}


def _lists_of_tuples(
    rows: Sequence[Row], names: Sequence[str], read: Reader
) -> dict[str, list[Any]]:
    """{"positive": [...], "negative": [...]} as lists with labels 1 and 0."""
    queries, documents, labels = [], [], []
    for row in rows:
        found: list[Any] = []
        numbers: list[float] = []
        for name in names[1:]:
            value = row.fields[name]
            group = _read_all(value if isinstance(value, list) else [value], _at(row, name), read)
            found += group
            numbers += [1.0 if name.startswith("positive") else 0.0] * len(group)
        if not found:
            raise InputError(f"{row.where}: no documents")
        queries.append(read(row.fields["query"], _at(row, "query")))
        documents.append(found)
        labels.append(numbers)
    return {"query": queries, "documents": documents, "labels": labels}


def _listed(row: Row, name: str) -> list[Any]:
    value = row.fields[name]
    if not isinstance(value, list) or not value:
        raise InputError(f"{_at(row, name)}: expected a list of one or more, got {shorten(value)}")
    return value


def _read_all(values: Sequence[Any], where: str, read: Reader) -> list[Any]:
    return [read(value, f"{where}[{index}]") for index, value in enumerate(values)]


# ------------------------------------------------------------ labels


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {shorten(value)} is no number")
    return number


def _whole(numbers: list[float]) -> list[Any]:
    """Integers where all are: losses over classes take no others."""
    return [int(n) for n in numbers] if all(n.is_integer() for n in numbers) else numbers
