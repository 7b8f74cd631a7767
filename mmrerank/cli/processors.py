"""`mmrerank processors`: the families that the package knows."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["processors"]


def processors(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of a table.")
    ] = False,
) -> None:
    """List the processor folders: what the package knows of each family of rerankers."""
    from mmrerank.specs import list_processors

    rows = [
        {
            "name": spec.name,
            "title": spec.title,
            "modalities": list(spec.modalities),
            "head": spec.head.kind,
            "link": spec.link,
        }
        for spec in list_processors()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from mmrerank.cli._tables import TextTable, print_table

    table = TextTable("name", "title", "modalities", "head", "link")
    for row in rows:
        table.add_row(*(", ".join(v) if isinstance(v, list) else str(v) for v in row.values()))
    print_table(table)
