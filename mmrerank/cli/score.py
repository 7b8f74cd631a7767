"""`mmrerank score`: a file of pairs in, a file of scores out, in the same order."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

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
    from mmrerank.types import DocumentError, Pair, Score

__all__ = ["score"]


@with_media_flags
def score(
    pairs: Annotated[
        str,
        typer.Argument(
            metavar="PAIRS.JSONL",
            help='Lines {"query": …, "document": …} with or without "instruction"; "-" is stdin.',
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help='File for the scores; "-" is stdout.')
    ] = "-",
    instruction: Instruction = None,
    model: ModelName = None,
    processor: Processor = None,
    device: Device = None,
    *,
    media: MediaFlags,
) -> None:
    """Score the pairs of a JSONL file.

    Each gives one line {"index", "score"}, or {"index", "error"} where it could not be scored;
    then the exit code is 1. Relative paths start from the file's folder. Memory stays bounded
    however long the file is.
    """
    from tqdm import tqdm

    from mmrerank.cli._files import open_input

    if output != "-" and pairs != "-" and Path(output).resolve() == Path(pairs).resolve():
        raise CommandError("the scores would overwrite the pairs; choose another --output")
    num_errors = 0
    with open_input(pairs) as (lines, folder):
        reranker = load_model(model, device, processor, media)
        failed: dict[int, str] = {}
        rows = _rows_of(lines, folder, failed, takes_media=reranker.supports_media)
        results = reranker.score_stream(rows, instruction=instruction)
        with _open_output(output) as out:
            for index, result in enumerate(tqdm(results, desc="Pairs", disable=None, delay=1.0)):
                entry = _entry_of(index, result, failed.pop(index, None))
                num_errors += "error" in entry
                out.write(json.dumps(entry, ensure_ascii=False) + "\n")
    if num_errors:
        typer.echo(f"{num_errors} of the pairs could not be scored", err=True)
        raise typer.Exit(1)


def _rows_of(
    lines: Iterable[str], folder: Path, failed: dict[int, str], *, takes_media: bool
) -> Iterator[Pair | None]:
    """The pair of each line; None for a bad one, whose error waits in `failed` to be written.

    The stream takes None for a bad pair too, and so keeps its place.
    """
    from mmrerank.cli._files import rebase_pair
    from mmrerank.inputs import iter_pairs
    from mmrerank.types import Pair

    for item in iter_pairs(_values_of(lines, failed), takes_media=takes_media):
        if isinstance(item, Pair):
            yield rebase_pair(item, folder)
        else:
            failed.setdefault(item.index, item.message)
            yield None


def _values_of(lines: Iterable[str], failed: dict[int, str]) -> Iterator[Any]:
    from mmrerank.cli._files import json_lines

    for index, value in enumerate(json_lines(lines)):
        if isinstance(value, json.JSONDecodeError):
            failed[index] = f"InputError: inputs[{index}]: no JSON ({value})"
        yield value


def _entry_of(index: int, result: Score | DocumentError, failure: str | None) -> dict[str, Any]:
    from mmrerank.types import DocumentError

    if failure is not None:
        return {"index": index, "error": failure}
    if isinstance(result, DocumentError):
        return {"index": index, "error": result.message}
    return {"index": index, "score": result.value.tolist()}


@contextmanager
def _open_output(name: str) -> Iterator[IO[str]]:
    if name == "-":
        yield sys.stdout
        return
    path = Path(name)
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    with file:
        yield file
