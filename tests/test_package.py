"""What a user gets from the installed package: a light door, and a wheel that carries its data."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

IN_WHEEL = """
import mmrerank, mmrerank.specs
print(mmrerank.__file__)
print(sorted(spec.name for spec in mmrerank.specs.list_processors()))
ranking = mmrerank.CrossEncoder().rank("a red circle", ["a blue square", "a red circle"])
print([entry["corpus_id"] for entry in ranking])
"""


def run_python(*arguments: str, python: str = sys.executable, cwd: Path = ROOT) -> tuple[str, str]:
    """(stdout, stderr) of a Python process that must end well."""
    done = subprocess.run(
        [python, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout, done.stderr


def import_times_s(module: str) -> dict[str, float]:
    """Cumulative seconds of each module that `import module` loads."""
    _, timings = run_python("-X", "importtime", "-c", f"import {module}")
    times: dict[str, float] = {}
    for line in timings.splitlines():
        columns = line.removeprefix("import time:").split("|")
        if len(columns) == 3 and columns[1].strip().isdigit():
            times[columns[2].strip()] = int(columns[1]) / 1e6
    return times


def test_import_mmrerank_loads_no_torch_and_takes_under_200_ms():
    runs = [import_times_s("mmrerank") for _ in range(3)]
    heavy = {name.split(".")[0] for name in runs[0]} & {"torch", "transformers", "PIL", "av"}
    assert heavy == set()
    assert min(times["mmrerank"] for times in runs) < 0.2


@pytest.mark.parametrize("module", ["inputs", "media", "specs", "results"])
def test_pure_package_loads_no_torch(module: str):
    code = f"import sys, mmrerank.{module}; print('torch' in sys.modules)"
    stdout, _ = run_python("-c", code)
    assert stdout == "False\n"


@pytest.mark.slow
def test_wheel_installed_elsewhere_finds_its_processors_and_ranks(tmp_path: Path):
    run_python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    run_python("-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    run_python("-m", "pip", "install", "--no-deps", "--no-index", str(wheel), python=python)
    # The dependencies come from the environment of the tests; its editable mmrerank does not,
    # since Python reads no .pth files inside a folder that another .pth file names.
    (packages,) = (tmp_path / "venv" / "lib").glob("python3.*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])

    stdout, _ = run_python("-c", IN_WHEEL, python=python, cwd=tmp_path)

    door, processors, order = stdout.splitlines()
    assert door == str(packages / "mmrerank" / "__init__.py")
    folders = sorted(folder.parent.name for folder in ROOT.glob("processors/*/processor.toml"))
    assert processors == str(folders)
    assert order == "[1, 0]"
