"""`mmrerank train`: fine-tune a model on a file, and say how much better it has become."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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

__all__ = ["train"]


@with_media_flags
def train(
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help='.jsonl, .csv, .parquet or folder: {"query", "document", "label"}, {"query", '
            '"positive", "negative"} or {"query", "documents", "labels"} a row.',
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="For the model and its checkpoints.")],
    eval_data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Held-out rows: measured before and after."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="As LambdaLoss. [default: BinaryCrossEntropyLoss; CrossEntropyLoss for classes]",
        ),
    ] = None,
    lora: Annotated[
        bool, typer.Option("--lora", help="Train an adapter of a few weights, not the model.")
    ] = False,
    train_towers: Annotated[
        bool | None,
        typer.Option(
            "--train-towers/--freeze-towers",
            help="Whether what reads pictures and sounds is trained. [default: trained; with "
            "--lora, not]",
        ),
    ] = None,
    epochs: Annotated[float, typer.Option(min=0.0, help="Times that all rows are seen.")] = 1.0,
    max_steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop there, whatever --epochs says.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows in one step.")] = 16,
    lr: Annotated[
        float | None,
        typer.Option(min=0.0, help="Learning rate. [default: 2e-5; with --lora 1e-4]"),
    ] = None,
    num_negatives: Annotated[
        int,
        typer.Option("--negatives", min=1, help="Of a row, for losses that compare documents."),
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 42,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint in --out.")
    ] = False,
    json_file: ResultsFile = None,
    html_file: PageFile = None,
    instruction: Instruction = None,
    model: ModelName = None,
    processor: Processor = None,
    device: Device = None,
    *,
    media: MediaFlags,
) -> None:
    """Fine-tune a model on labelled texts, pictures, sounds or clips.

    The model is written to --out, with a card and the log of the run. With --eval-data it is
    measured before and after.
    """
    for path in (data, eval_data):
        # Asked before the model is loaded: a typo in a name must not cost a minute.
        if path is not None and not path.exists():
            raise CommandError(f"{path}: no such file or folder")
    if not resume and out.is_dir() and any(out.iterdir()):
        raise CommandError(f"{out} is not empty: name another --out, or go on with --resume")
    from mmrerank.cli._training import TrainOptions, run_training

    options = TrainOptions(
        loss=loss,
        is_lora=lora,
        train_towers=train_towers,
        num_epochs=epochs,
        max_steps=max_steps,
        batch_size=batch_size,
        learning_rate=lr if lr is not None else (1e-4 if lora else 2e-5),
        num_negatives=num_negatives,
        seed=seed,
        is_bf16=bf16,
        is_resumed=resume,
        instruction=instruction,
    )
    reranker = load_model(model, device, processor, media)
    run_training(reranker, model, options, data, eval_data, out, json_file, html_file)
