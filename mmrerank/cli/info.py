"""`mmrerank info`: what is known of a model, and where each decision came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mmrerank.cli._options import Device, Processor, load_model

__all__ = ["info"]

_PAGES = ("prompt_example", "sources", "prompts")  # printed below the table


def info(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="Folder or hub id. [default: the embedded tiny-omni]"),
    ] = None,
    processor: Processor = None,
    device: Device = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Show a model's modalities, family, prompt, head and budgets."""
    facts = load_model(model, device, processor).describe()
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2, default=str))
    else:
        _print_facts(facts)


def _print_facts(facts: Mapping[str, Any]) -> None:
    from mmrerank.cli._tables import TextTable, print_table, print_text

    sources: Mapping[str, str] = facts["sources"]
    table = TextTable("field", "value", "from")
    for name, value in facts.items():
        if name not in _PAGES:
            for field, shown in _flat(name, value):
                table.add_row(field, shown, sources.get(field, ""))
    print_table(table)
    if others := [(name, source) for name, source in sources.items() if name not in facts]:
        table = TextTable("decision", "from")
        for name, source in others:
            table.add_row(name, source)
        print_table(table)
    for name, prompt in facts["prompts"].items():
        mark = " (default)" if name == facts["default_prompt_name"] else ""
        print_text(f"Prompt {name!r}{mark}", style="bold")
        print_text(prompt + "\n")
    print_text("What the model reads for “a query” and “a document”", style="bold")
    print_text(facts["prompt_example"])


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """(dotted name, text) of a value, one for each leaf of a mapping."""
    if isinstance(value, Mapping):
        return [leaf for key, inner in value.items() for leaf in _flat(f"{name}.{key}", inner)]
    if isinstance(value, list | tuple):
        return [(name, ", ".join(str(item) for item in value))]
    if isinstance(value, int) and not isinstance(value, bool):
        return [(name, f"{value:,}")]
    return [(name, "–" if value is None else str(value))]
