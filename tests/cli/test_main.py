"""Help is quick, errors are one line, tracebacks come when asked for."""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "mmrerank.cli.main"]


def run_process(*arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND[0], *flags, *COMMAND[1:], *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "command",
    [[], ["rank"], ["score"], ["info"], ["processors"], ["demo"], ["doctor"], ["convert"]],
)
def test_help_imports_neither_torch_nor_transformers(command: list[str]):
    done = run_process(*command, "--help", flags=("-X", "importtime"))
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: mmrerank")
    assert "typer" in imported
    assert imported & {"torch", "transformers", "numpy", "PIL"} == set()


def test_help_takes_half_a_second_of_a_core():
    """Time on the core, so that what else the machine does hardly counts."""
    times_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_process("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times_s) < 0.5


def test_no_command_shows_help(run):
    ran = run()
    assert (ran.code, ran.err) == (0, "")
    assert "processors" in ran.out


def test_version_is_that_of_the_package(run):
    import mmrerank

    assert run("--version").out == f"mmrerank {mmrerank.__version__}\n"


def test_version_in_the_code_is_that_of_the_project():
    import mmrerank

    assert f'version = "{mmrerank.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_error_of_the_package_is_one_line_and_code_2(run):
    ran = run("rank", "a query", "a document", "--model", "/no/such/folder")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: /no/such/folder: there is no such folder\n"


def test_unknown_option_is_one_line_with_the_near_name(run):
    ran = run("rank", "a query", "a document", "--topk", "3")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: No such option: --topk (Possible options: --top-k)\n"


def test_missing_argument_is_one_line(run):
    ran = run("score")
    assert ran.code == 2
    assert ran.err == "error: Missing argument 'PAIRS.JSONL'.\n"


@pytest.mark.parametrize("place", [0, 3])
def test_debug_shows_the_traceback_wherever_it_stands(run, place: int):
    arguments = ["rank", "q", "d", "--model=/no/such/folder"]
    ran = run(*arguments[:place], "--debug", *arguments[place:])
    assert ran.code == 2
    assert ran.err.startswith("Traceback (most recent call last):")
    assert ran.err.endswith("error: /no/such/folder: there is no such folder\n")


def test_debug_after_a_double_dash_is_a_document(run, text_model):
    ran = run("rank", "--model", text_model, "a query", "--", "--debug")
    assert ran.code == 0
    assert "--debug" in ran.out


def test_own_bug_is_one_line_that_names_debug(run, monkeypatch):
    def broken() -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("mmrerank.specs.list_processors", broken)
    ran = run("processors")
    assert ran.code == 70
    assert ran.err == "error: RuntimeError: two lines. Run with --debug to see where.\n"


def test_console_script_is_installed():
    assert version("mmrerank") == "0.1.0"
    script = Path(sys.executable).with_name("mmrerank")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "mmrerank 0.1.0\n"


def test_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -o pipefail; '{sys.executable}' -m mmrerank.cli.main --help | head -0",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
