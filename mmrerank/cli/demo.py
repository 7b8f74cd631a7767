"""`mmrerank demo`: the embedded model on the documents that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmrerank.cli._options import CommandError, Device, ModelName, load_model

if TYPE_CHECKING:
    from mmrerank import CrossEncoder, Document, Ranking

__all__ = ["demo"]


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Documents of every kind, and queries with the documents that match."""

    given: list[Any]
    documents: list[Document]
    queries: list[tuple[str, Document, frozenset[int]]]  # as shown, as read, indices of its matches


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder with documents.jsonl and queries.jsonl. [default: the package's]"
        ),
    ] = None,
    model: ModelName = None,
    device: Device = None,
) -> None:
    """Rank a shelf of texts, pictures, sounds, clips and PDF pages for a few queries.

    The exit code is 1 unless every matching document stands above all others.
    """
    from mmrerank.cli._tables import print_text

    shelf = _read_shelf(folder or _demo_folder())
    reranker = load_model(model, device, None)
    num_right = 0
    for shown, query, relevant in shelf.queries:
        ranking = _rank(reranker, query, shelf)
        _print_ranking(shown, ranking, shelf, relevant)
        num_right += _matches_stand_first(ranking, relevant)
    print_text(
        f"{num_right} of {len(shelf.queries)} queries have every matching document (✓) first.",
        style="bold",
    )
    if num_right < len(shelf.queries):
        raise typer.Exit(1)


def _demo_folder() -> Path:
    """Inside the package in a wheel, beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_demo", package.parent / "fixtures" / "demo"):
        if (folder / "documents.jsonl").is_file():
            return folder
    raise CommandError("the demo documents are missing from this installation; reinstall")


def _read_shelf(folder: Path) -> _Shelf:
    from mmrerank.cli._files import describe, read_documents, read_queries

    given, documents = read_documents(str(folder / "documents.jsonl"), takes_media=True)
    index_of = {raw["id"]: index for index, raw in enumerate(given)}
    queries = [
        (describe(raw["query"]), query, frozenset(index_of[name] for name in raw["relevant"]))
        for raw, query in read_queries(str(folder / "queries.jsonl"))
    ]
    return _Shelf(given, documents, queries)


def _rank(reranker: CrossEncoder, query: Document, shelf: _Shelf) -> Ranking:
    return reranker.rank(query, shelf.documents, show_progress_bar=False)


def _matches_stand_first(ranking: Ranking, relevant: frozenset[int]) -> bool:
    return {entry["corpus_id"] for entry in ranking[: len(relevant)]} == relevant


def _print_ranking(
    query: str, ranking: Ranking, shelf: _Shelf, relevant: Sequence[int] | frozenset[int]
) -> None:
    from mmrerank.cli._files import describe, kind_of
    from mmrerank.cli._tables import TextTable, print_table

    table = TextTable("rank", "score", "", "kind", "document", title=f"Query: {query}")
    for place, entry in enumerate(ranking, start=1):
        index = entry["corpus_id"]
        table.add_row(
            str(place),
            f"{entry['score']:.3f}",
            "✓" if index in relevant else "",
            kind_of(shelf.documents[index]),
            describe(shelf.given[index]),
            style="bold green" if index in relevant else None,
        )
    print_table(table)
