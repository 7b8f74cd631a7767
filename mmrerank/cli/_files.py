"""Reading documents and pairs from lines and JSONL files, and naming them in tables."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from mmrerank.cli._options import CommandError
from mmrerank.inputs import parse_document
from mmrerank.inputs.relative import rebase
from mmrerank.types import Document, Image, Pair

__all__ = [
    "describe",
    "json_lines",
    "kind_of",
    "open_input",
    "read_documents",
    "read_queries",
    "rebase_pair",
]


@contextmanager
def open_input(name: str) -> Iterator[tuple[IO[str], Path]]:
    """A text file, or stdin for "-", and the folder that its relative paths start from."""
    if name == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8-sig", errors="surrogateescape")
        yield sys.stdin, Path.cwd()
        return
    path = Path(name)
    try:
        # Bytes that are no UTF-8 stay in their line, which is then refused by itself.
        file = path.open(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    with file:
        yield file, path.parent.absolute()


def json_lines(lines: Iterable[str]) -> Iterator[Any]:
    """The value of each line that is not blank; a JSONDecodeError in the place of a bad one."""
    for line in lines:
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                yield error


def read_documents(name: str, *, takes_media: bool) -> tuple[list[Any], list[Document]]:
    """Documents of a JSONL file: each line as it stands there, and read. A dict may have an "id".

    Raises CommandError for a line that is no JSON, InputError for one that is no document.
    """
    raw: list[Any] = []
    documents: list[Document] = []
    with open_input(name) as (file, folder):
        for number, value in enumerate(json_lines(file), start=1):
            if isinstance(value, json.JSONDecodeError):
                raise CommandError(f"{name}, line {number}: no JSON ({value})")
            raw.append(value)
            where = f"{name}, line {number}"
            document = parse_document(_without_id(value), where=where, takes_media=takes_media)
            documents.append(rebase(document, folder))
    return raw, documents


def _without_id(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if key != "id"}
    return value


def read_queries(name: str) -> list[tuple[dict[str, Any], Document]]:
    """Lines {"query": …, "relevant": [ids]} of a JSONL file, each with its query read."""
    with open_input(name) as (file, folder):
        rows = [json.loads(line) for line in file if line.strip()]
    return [
        (row, rebase(parse_document(row["query"], where=f"{name}, line {number}"), folder))
        for number, row in enumerate(rows, start=1)
    ]


def rebase_pair(pair: Pair, folder: Path) -> Pair:
    """The pair with its relative paths made absolute, as seen from `folder`."""
    return replace(pair, query=rebase(pair.query, folder), document=rebase(pair.document, folder))


def kind_of(document: Document) -> str:
    """ "text", "image", "text + video", … for a table; a page of a PDF is "pdf"."""
    kinds = ["pdf" if isinstance(p, Image) and p.page is not None else p.modality for p in document]
    return " + ".join(dict.fromkeys(kinds))


def describe(value: Any) -> str:
    """A document as the user wrote it, in one line."""
    if isinstance(value, list):
        return " + ".join(describe(part) for part in value)
    if not isinstance(value, dict):
        return " ".join(str(value).split())
    if "content" in value:
        return describe(value["content"])
    if "type" in value:
        return describe(value.get(value["type"]))
    page = f" page {value['page']}" if "page" in value else ""
    shown = [describe(part) for key, part in value.items() if key not in ("id", "page")]
    return " + ".join(shown) + page
