"""`mmrerank rank`: order documents for one query."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmrerank.cli._media import MediaFlags, with_media_flags
from mmrerank.cli._options import (
    CommandError,
    Device,
    Instruction,
    ModelName,
    Processor,
    load_model,
)

if TYPE_CHECKING:
    from mmrerank import Document
    from mmrerank.engine import PlanReport

__all__ = ["rank"]


@with_media_flags
def rank(
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help='Text, path or URL; may be "" beside --query-image.'),
    ],
    documents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DOC...",
            help='Texts, paths or URLs; "-" reads one from each line of stdin that is not blank.',
        ),
    ] = None,
    documents_file: Annotated[
        str | None,
        typer.Option("--documents", help="JSONL file of documents: strings or input dicts."),
    ] = None,
    query_image: Annotated[str | None, typer.Option(help="Picture of the query.")] = None,
    query_audio: Annotated[str | None, typer.Option(help="Sound of the query.")] = None,
    query_video: Annotated[str | None, typer.Option(help="Clip of the query.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="How many to show.")] = None,
    instruction: Instruction = None,
    model: ModelName = None,
    processor: Processor = None,
    device: Device = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of a table.")
    ] = False,
    explain_plan: Annotated[
        bool,
        typer.Option("--explain-plan", help="Say on stderr what is computed, and what is spared."),
    ] = False,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Rank the others when a document cannot be read; it stands last, exit code 1.",
        ),
    ] = False,
    *,
    media: MediaFlags,
) -> None:
    """Order documents for a query, best first."""
    wanted = _query_of(query, image=query_image, audio=query_audio, video=query_video)
    if not documents and documents_file is None:
        raise CommandError("no documents: name some after the query, or use --documents FILE")
    reranker = load_model(model, device, processor, media)
    given, parsed = _documents_of(documents or [], documents_file, reranker.supports_media)
    if explain_plan:
        _print_plan(reranker.explain_plan([(wanted, document) for document in parsed], instruction))
    ranking = reranker.rank(
        wanted,
        parsed,
        instruction=instruction,
        on_error="record" if keep_going else "raise",
    )
    shown = ranking[:top_k]
    if as_json:
        _print_json(shown, given)
    else:
        _print_table(shown, given, parsed)
    for error in (entry["error"] for entry in ranking if "error" in entry):
        typer.echo(f"error: {error}", err=True)
    if ranking.usage.num_errors:
        raise typer.Exit(1)


def _query_of(text: str, **media: str | None) -> Any:
    """A string as it is where it stands alone, so that it may be a path too; else an input dict."""
    named = {kind: source for kind, source in media.items() if source is not None}
    if not named:
        return text
    return {"text": text, **named} if text else named


def _documents_of(
    arguments: list[str], documents_file: str | None, takes_media: bool
) -> tuple[list[Any], list[Document]]:
    """The documents as the user wrote them, and read."""
    from mmrerank.cli._files import open_input, read_documents
    from mmrerank.inputs import parse_document

    given: list[Any] = []
    for argument in arguments:
        if argument == "-":
            with open_input(argument) as (file, _):
                given += [line.rstrip("\r\n") for line in file if line.strip()]
        else:
            given.append(argument)
    parsed = [
        parse_document(text, where=f"documents[{index}]", takes_media=takes_media)
        for index, text in enumerate(given)
    ]
    if documents_file is not None:
        raw, read = read_documents(documents_file, takes_media=takes_media)
        given, parsed = given + raw, parsed + read
    if not given:
        raise CommandError("no documents: nothing was read")
    return given, parsed


def _print_plan(plan: PlanReport) -> None:
    typer.echo(
        f"{plan.runner}: {plan.num_prompts:,} prompts of {plan.num_tokens:,} tokens in "
        f"{plan.num_batches:,} batches; {plan.num_computed:,} are computed, {plan.num_cached:,} "
        f"held from earlier calls, {plan.num_saved - plan.num_cached:,} stand in several prompts; "
        f"{plan.num_media_cached:,} of {plan.num_media:,} media have been through their tower",
        err=True,
    )


def _print_json(ranking: list[dict[str, Any]], given: list[Any]) -> None:
    entries = [
        {
            **entry,
            "score": None if math.isnan(entry["score"]) else entry["score"],
            "document": given[entry["corpus_id"]],
        }
        for entry in ranking
    ]
    typer.echo(json.dumps(entries, ensure_ascii=False, indent=2))


def _print_table(ranking: list[dict[str, Any]], given: list[Any], parsed: list[Document]) -> None:
    from mmrerank.cli._files import describe, kind_of
    from mmrerank.cli._tables import TextTable, print_table

    table = TextTable("rank", "score", "#", "kind", "document")
    for place, entry in enumerate(ranking, start=1):
        index = entry["corpus_id"]
        score = "error" if "error" in entry else f"{entry['score']:.3f}"
        kind, shown = kind_of(parsed[index]), describe(given[index])
        table.add_row(str(place), score, str(index), kind, shown)
    print_table(table)
