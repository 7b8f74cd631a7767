"""Judgements and rankings as the tools of TREC and BEIR write them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from mmrerank.errors import InputError, shorten

__all__ = ["read_qrels", "read_run"]


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Grade by query and document. Lines "query document grade" with or without BEIR's header, or
    TREC's "query 0 document grade".

    Raises InputError with file and line for a line that is neither.
    """
    grades: dict[str, dict[str, float]] = {}
    for number, where, fields in _lines(path):
        if len(fields) not in (3, 4):
            raise InputError(
                f"{where}: {len(fields)} columns; judgements have query, document and grade."
            )
        query, document, grade = fields[0], fields[-2], fields[-1]
        if number == 1 and not _is_number(grade):
            continue  # the header
        grades.setdefault(query, {})[document] = float(int(_number(grade, where)))
    return grades


def read_run(path: Path) -> dict[str, list[str]]:
    """Document ids by query, best first. Lines "query Q0 document rank score name".

    Raises InputError with file and line for any other.
    """
    scored: dict[str, dict[str, float]] = {}
    for _, where, fields in _lines(path):
        if len(fields) != 6:
            raise InputError(
                f"{where}: {len(fields)} columns; a run has query, Q0, document, rank, score, name."
            )
        scored.setdefault(fields[0], {})[fields[2]] = _number(fields[4], where)
    return {
        query: sorted(documents, key=lambda document: -documents[document])
        for query, documents in scored.items()
    }


def _lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(line number, where, columns) of each line that is not blank; tabs or blanks between."""
    try:
        file = path.open(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                fields = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
                yield number, f"{path}, line {number}", fields


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(text: str, where: str) -> float:
    if not _is_number(text):
        raise InputError(f"{where}: {shorten(text)} is no number.")
    return float(text)
