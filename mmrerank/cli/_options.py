"""Options that several commands share, and the model they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from mmrerank import CrossEncoder
    from mmrerank.cli._media import MediaFlags

__all__ = [
    "CommandError",
    "Device",
    "Instruction",
    "ModelName",
    "PageFile",
    "Processor",
    "ResultsFile",
    "load_model",
]


class CommandError(TyperException):
    """The command cannot do what it was asked for; `main` shows the message in one line."""

    exit_code = 2


ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Folder or hub id of a reranker. [default: the embedded tiny-omni]"
    ),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps. [default: the best there is]")
]
Processor = Annotated[
    str | None,
    typer.Option(help="Name or path of a processor folder, where the model's files do not say."),
]
Instruction = Annotated[
    str | None, typer.Option("--instruction", "-i", help="What counts as a match, in words.")
]
ResultsFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help='Results as JSON; "-" is stdout, no table.'),
]
PageFile = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Page with tables and plots.")
]


def load_model(
    name: str | None,
    device: str | None,
    processor: str | None,
    media: MediaFlags | None = None,
) -> CrossEncoder:
    """Load the model that the options name; a download shows its progress on stderr."""
    from transformers.utils import logging as transformers_logging

    from mmrerank import CrossEncoder

    # Reading weights from the disk takes a moment and would leave a bar on stderr each time.
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if media is None:
        return CrossEncoder(name, device=device, processor=processor)
    return CrossEncoder(
        name,
        device=device,
        processor=processor,
        media_policy=media.policy(),
        fast_decode=media.fast_decode or None,  # None = as the model says
    )
