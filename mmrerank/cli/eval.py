"""`mmrerank eval`: how good a model is on labelled data, in a table, JSON and an HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmrerank.cli._evaluations import Outputs, evaluate_mteb, evaluate_pairs
from mmrerank.cli._media import MediaFlags, with_media_flags
from mmrerank.cli._options import (
    CommandError,
    Device,
    Instruction,
    ModelName,
    PageFile,
    Processor,
    ResultsFile,
    load_model,
)

if TYPE_CHECKING:
    from mmrerank.evaluation.data import EvalData

__all__ = ["evaluate"]


@with_media_flags
def evaluate(
    model_folder: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="The same as --model.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='JSONL: {"query", "document", "label"}, {"query", "positive", "negative"} or '
            '{"query", "documents", "labels"} a line.',
        ),
    ] = None,
    beir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of corpus.jsonl, queries.jsonl, qrels/test.tsv."),
    ] = None,
    mteb: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="Reranking task of mteb, or file.py:NAME of your own."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --beir: TREC run whose documents are reranked. [default: "
            "the judged ones and others drawn at random]",
        ),
    ] = None,
    num_documents: Annotated[
        int, typer.Option("--candidates", min=1, help="With --beir: documents for each query.")
    ] = 100,
    split: Annotated[str, typer.Option(help="With --beir: name of the file in qrels/.")] = "test",
    batch_size: Annotated[int, typer.Option(min=1, help="Most pairs in one batch.")] = 32,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use the first N lines (--data) or queries (--beir).")
    ] = None,
    json_file: ResultsFile = None,
    html_file: PageFile = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For results.json, report.html and scores.jsonl."),
    ] = None,
    trainer_state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="trainer_state.json, for the loss curve. [default: the model's]"
        ),
    ] = None,
    instruction: Instruction = None,
    model: ModelName = None,
    processor: Processor = None,
    device: Device = None,
    *,
    media: MediaFlags,
) -> None:
    """Evaluate a model on labelled pairs, a BEIR folder or a task of MTEB."""
    if model is not None and model_folder is not None:
        raise CommandError("the model is named twice: as argument and by --model")
    name = model if model is not None else model_folder
    _check(data, beir, mteb, run, limit)
    outputs = Outputs(json_file, html_file, output_dir, _log_history(trainer_state, name))
    if mteb is not None:
        from mmrerank.evaluation.mteb_model import load_task

        task = load_task(mteb)
        reranker = load_model(name, device, processor, media)
        evaluate_mteb(reranker, name, task, outputs, batch_size, instruction)
        return
    # Read before the model is loaded where that can be: a typo in a name must not cost a minute.
    for path in (data, beir, run):
        if path is not None and not path.exists():
            raise CommandError(f"{path}: no such file or folder")
    reranker = load_model(name, device, processor, media)
    takes_media = reranker.supports_media
    judged = _read(data, beir, run, num_documents, split, limit, takes_media=takes_media)
    evaluate_pairs(reranker, name, judged, outputs, batch_size, instruction)


def _check(
    data: Path | None, beir: Path | None, mteb: str | None, run: Path | None, limit: int | None
) -> None:
    """Exactly one kind of data, and neither --run nor --limit where it would have no effect."""
    if sum(given is not None for given in (data, beir, mteb)) != 1:
        raise CommandError("name the data by one of --data FILE, --beir DIR, --mteb TASK")
    if run is not None and beir is None:
        raise CommandError("--run goes with --beir")
    if limit is not None and mteb is not None:
        raise CommandError("--limit has no effect on --mteb: a task is evaluated whole")


def _read(
    data: Path | None,
    beir: Path | None,
    run: Path | None,
    num_documents: int,
    split: str,
    limit: int | None,
    *,
    takes_media: bool,
) -> EvalData:
    if beir is not None:
        from mmrerank.evaluation.beir import Candidates, read_beir

        candidates = Candidates(run, num_documents)
        options: dict[str, Any] = {"takes_media": takes_media, "limit": limit}
        return read_beir(beir, split=split, candidates=candidates, **options)
    from mmrerank.evaluation.jsonl import read_jsonl

    assert data is not None  # _check has seen to it
    return read_jsonl(data, takes_media=takes_media, limit=limit)


def _log_history(named: Path | None, model: str | None) -> list[dict[str, Any]]:
    """The training log that was named, or lies beside the model."""
    found = named
    if found is None and model is not None and (Path(model) / "trainer_state.json").is_file():
        found = Path(model) / "trainer_state.json"
    if found is None:
        return []
    from mmrerank.evaluation.report import read_log_history

    return read_log_history(found)
