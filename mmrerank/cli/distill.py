"""`mmrerank distill`: a small model learns what a large one says of the same pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmrerank.cli._media import MediaFlags, with_media_flags
from mmrerank.cli._options import CommandError, Device, Instruction, load_model

__all__ = ["distill"]


@with_media_flags
def distill(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Folder or hub id.")],
    student: Annotated[str, typer.Argument(metavar="STUDENT", help="Folder or hub id.")],
    data: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="As for `train`; its labels are not looked at.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="For the trained student.")],
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The teacher's scores. [default: teacher_scores.jsonl in --out]"
        ),
    ] = None,
    loss: Annotated[str, typer.Option(help="kl or margin-mse.")] = "kl",
    temperature: Annotated[float, typer.Option(help="Of kl: above 1 weighs poor ones more.")] = 1.0,
    epochs: Annotated[float, typer.Option(min=0.0, help="Times that all rows are seen.")] = 1.0,
    max_steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop there, whatever --epochs says.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows in one step.")] = 16,
    lr: Annotated[float, typer.Option(min=0.0, help="Learning rate.")] = 2e-5,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 42,
    instruction: Instruction = None,
    device: Device = None,
    *,
    media: MediaFlags,
) -> None:
    """Train STUDENT on the scores that TEACHER gives to the pairs of a file.

    The teacher's scores are kept: a run that was stopped goes on where it was, and a second student
    costs no second scoring.
    """
    from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
    from mmrerank.training.data import read_training_data
    from mmrerank.training.distill import (
        DISTILL_LOSSES,
        ScoreCache,
        scored_by_teacher,
        train_student,
    )

    if loss not in DISTILL_LOSSES:
        raise CommandError(f"--loss {loss}: allowed are {', '.join(DISTILL_LOSSES)}")
    large = load_model(teacher, device, None, media)
    rows = read_training_data(data, takes_media=large.supports_media)
    scores = ScoreCache(cache or out / "teacher_scores.jsonl")
    num_known = len(scores)
    scored = scored_by_teacher(large, rows, scores, prompt=instruction)
    typer.echo(f"{len(scores) - num_known} pairs scored by the teacher, {len(scored)} queries")
    del large  # before the student's training asks for memory
    small = load_model(student, device, None, media)
    arguments = {
        "output_dir": str(out / "checkpoints"),
        "num_train_epochs": epochs,
        "max_steps": max_steps or -1,
        "per_device_train_batch_size": batch_size,
        "learning_rate": lr,
        "seed": seed,
        "prompts": instruction,
        "use_cpu": str(small.device) == "cpu",
        "save_strategy": "no",
        "report_to": "none",
    }
    trainer = train_student(
        small,
        scored,
        arguments,
        trainer_class=CrossEncoderTrainer,
        loss=loss,
        temperature=temperature,
    )
    small.save_pretrained(str(out))
    typer.echo(f"{trainer.state.global_step} steps, saved to {out}")
