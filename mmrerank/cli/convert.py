"""`mmrerank convert`: a reranker as a plain checkpoint that sentence-transformers loads too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmrerank.cli._options import CommandError, Device, Processor, load_model

if TYPE_CHECKING:
    from mmrerank import CrossEncoder

__all__ = ["convert"]

# Scored before and after; their words are in no template.
_PAIRS = (
    ("how do plants make food", "Plants make their food by photosynthesis, from light and water."),
    ("how do plants make food", "The ferry leaves the harbour at noon."),
)
# Of the larger score: weights are stored as they are, so only the order of additions may differ.
_TOLERANCE = 1e-4


def convert(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for the checkpoint.")],
    processor: Processor = None,
    device: Device = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write into OUT although it holds files.")
    ] = False,
) -> None:
    """Write MODEL with its processor's template, head and prompts in its own files.

    The folder needs no --processor any more, and sentence-transformers loads it with equal scores.
    It is loaded again and compared; exit code 1 when its scores differ.
    """
    from mmrerank.models import has_adapter

    _check_out(model, out, overwrite=overwrite)
    loaded = _load(model, out, device, processor)
    _check_form(loaded)
    if has_adapter(loaded.model):
        loaded.merge_adapter()
    scores = loaded.predict(list(_PAIRS))
    loaded.save_pretrained(out)
    _print_written(loaded, out)
    del loaded  # before its copy asks for memory
    again = load_model(str(out), device, None).predict(list(_PAIRS))
    difference = float(abs(again - scores).max())
    if not difference <= _TOLERANCE * max(1.0, float(abs(scores).max())):
        typer.echo(f"the copy scores otherwise, by up to {difference:.2g}: do not use it", err=True)
        raise typer.Exit(1)
    typer.echo(f"Loaded again: {len(_PAIRS)} pairs score the same, to {difference:.0e}.")


def _check_out(model: str, out: Path, *, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise CommandError(f"{out} is a file; name a folder")
    if out.is_dir() and Path(model).is_dir() and out.samefile(model):
        raise CommandError(f"{out} is the model itself; name another folder")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise CommandError(f"{out} is not empty; name another folder, or pass --overwrite")


def _load(model: str, out: Path, device: str | None, processor: str | None) -> CrossEncoder:
    from mmrerank.errors import UntrustedCode

    try:
        return load_model(model, device, processor)
    except UntrustedCode as error:
        raise CommandError(
            f"{error} `convert` never runs them. In Python, CrossEncoder({model!r}, "
            f"trust_remote_code=True).save_pretrained({str(out)!r}) writes a folder with them that "
            "sentence-transformers loads, too, with trust_remote_code=True."
        ) from error


def _check_form(model: CrossEncoder) -> None:
    """Refuse what sentence-transformers has no modules for, before anything is written."""
    spec = model.spec
    if spec.head.kind == "cosine" or spec.listwise is not None:
        why = "it scores several documents in one prompt"
    elif model.config.is_encoder_decoder:
        why = "it is an encoder with a decoder"
    else:
        return
    raise CommandError(
        f"{spec.name}: sentence-transformers has no form for a model of the family "
        f"{spec.family!r}: {why}. Use it with mmrerank, which knows the family."
    )


def _print_written(model: CrossEncoder, out: Path) -> None:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    total = sum(path.stat().st_size for path in files)
    typer.echo(f"{out}: family {model.spec.family}, {len(files)} files, {total / 1e6:,.1f} MB")
    for path in files:
        typer.echo(f"  {path.relative_to(out).as_posix()}")
    template = "the chat template of its prompts" if model.spec.template.kind == "chat" else ""
    kinds = ", ".join(type(module).__name__ for module in model)
    typer.echo(f"Modules: {kinds}{template and f'; {template} is in it'}.")
    if model.spec.template.tokenize == "parts":
        typer.echo(
            "Prompts of this family are tokenised piece by piece. sentence-transformers takes them "
            "as a whole, so its scores may differ a little where two pieces meet."
        )
