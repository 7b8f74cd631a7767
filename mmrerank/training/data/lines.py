"""Rows of JSONL and CSV files, each with its place in the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mmrerank.errors import InputError
from mmrerank.evaluation.data import json_lines

__all__ = ["Row", "rows_of_csv", "rows_of_jsonl"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its fields by name, and where it stands, for error messages."""

    where: str
    fields: dict[str, Any]


def rows_of_jsonl(path: Path) -> list[Row]:
    """One JSON object a line; blank lines are passed over. Raises InputError naming the line."""
    return [Row(where, value) for where, value in json_lines(path)]


def rows_of_csv(path: Path) -> list[Row]:
    """One row a record, named by the first line; an empty field counts as left out.

    Raises InputError naming the line of a record with more or fewer fields than the first line.
    """
    with _opened(path, newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = []
        try:
            for record in reader:
                where = f"{path}, line {reader.line_num}"
                if None in record or None in record.values():
                    raise InputError(f"{where}: expected {len(reader.fieldnames or ())} fields")
                rows.append(Row(where, {k: v for k, v in record.items() if v != ""}))
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: no CSV ({error})") from error
    return rows


@contextmanager
def _opened(path: Path, newline: str | None = None) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 ({error.reason} at byte {error.start})") from error
