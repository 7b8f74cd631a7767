"""`mmrerank processors`: the families that the package knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmrerank.cli._options import CommandError

if TYPE_CHECKING:
    from mmrerank.specs import ProcessorSpec

__all__ = ["processors"]


def processors(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of a table.")
    ] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page of families, docs/families.md.")
    ] = False,
) -> None:
    """List the processor folders: what the package knows of each family of rerankers."""
    from mmrerank.specs import list_processors

    if as_json and as_markdown:
        raise CommandError("--json and --markdown are two forms of one list: name one of them.")
    specs = list_processors()
    if as_markdown:
        from mmrerank.models.rows import rows_of
        from mmrerank.specs.page import families_page

        typer.echo(families_page(specs, rows_of), nl=False)
    elif as_json:
        typer.echo(json.dumps([_facts(spec) for spec in specs], ensure_ascii=False, indent=2))
    else:
        _print_table(specs)


def _facts(spec: ProcessorSpec) -> dict[str, Any]:
    from mmrerank.specs.page import scale_of

    return {
        "name": spec.name,
        "title": spec.title,
        "modalities": list(spec.modalities),
        "head": spec.head.kind,
        "scale": scale_of(spec.head),
        "license": spec.license,
        "max_length": spec.truncation.max_length,
        "models": list(spec.models),
        "notes": spec.notes,
        "link": spec.link,
    }


def _print_table(specs: list[ProcessorSpec]) -> None:
    from mmrerank.cli._tables import TextTable, print_table

    columns = ("name", "modalities", "head", "scale", "license")
    table = TextTable(*columns)
    for spec in specs:
        facts = {**_facts(spec), "modalities": ", ".join(spec.modalities)}
        table.add_row(*(str(facts[column]) for column in columns))
    print_table(table)
