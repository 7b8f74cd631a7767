"""Entry point of `mmrerank`: the list of commands, and errors as one line on stderr."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Annotated

import typer
from typer.exceptions import TyperException

from mmrerank.cli import convert, demo, distill, doctor, eval, info, processors, rank, score, train
from mmrerank.cli._media import CommandWithMedia
from mmrerank.errors import MMRerankError

__all__ = ["app", "main"]

EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="mmrerank",
    help="Score how well texts, images, sounds and clips answer a query.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs 0.2 s on each --help and usage error
    epilog="--debug, anywhere on the line, shows the traceback of an error.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from mmrerank import __version__

        typer.echo(f"mmrerank {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Score how well texts, images, sounds and clips answer a query."""


app.command("rank", cls=CommandWithMedia)(rank.rank)
app.command("score", cls=CommandWithMedia)(score.score)
app.command("eval", cls=CommandWithMedia)(eval.evaluate)
app.command("train", cls=CommandWithMedia)(train.train)
app.command("distill", cls=CommandWithMedia)(distill.distill)
app.command("convert")(convert.convert)
app.command("info")(info.info)
app.command("processors")(processors.processors)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0, 1 (some documents failed) or 2 (an error)."""
    arguments, debug = _split_off_debug(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s: %(message)s"
    )
    try:
        return app(args=arguments or ["--help"], prog_name="mmrerank", standalone_mode=False) or 0
    except TyperException as error:
        return _report(error.format_message(), debug=debug)
    except MMRerankError as error:
        return _report(str(error), debug=debug)
    except BrokenPipeError:
        # Our reader has gone (`| head`); Python would complain when it flushes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Exception as error:
        _report(f"{type(error).__name__}: {error}. Run with --debug to see where.", debug=debug)
        return EXIT_BUG


def _split_off_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """Take --debug out of the options; after a lone "--" it is a text like any other."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    return options + arguments[end:], len(options) < end


def _report(message: str, *, debug: bool) -> int:
    """Say what went wrong: one line, below the traceback where that was asked for."""
    if debug:
        traceback.print_exc()
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
