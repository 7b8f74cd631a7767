"""The benchmarks run, compare like with like and report what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks._measure import Times, time_in_turns
from benchmarks._media import make_photos
from benchmarks._report import Case, Target

ROOT = Path(__file__).parents[1]
TIMES = Times(
    {"slow": [6.0, 9.0, 8.0], "fast": [2.0, 3.0, 1.0]},
    {"slow": [6.0, 9.0, 8.0], "fast": [4.0, 6.0, 2.0]},
)


def test_contestants_run_in_turns():
    order: list[str] = []
    times = time_in_turns(
        {"one": lambda: order.append("one"), "other": lambda: order.append("other")}, 2
    )
    assert order == ["one", "other", "one", "other"]
    assert {name: len(taken) for name, taken in times.seconds.items()} == {"one": 2, "other": 2}
    assert {name: len(taken) for name, taken in times.cpu_seconds.items()} == {"one": 2, "other": 2}


def test_ratio_is_that_of_runs_side_by_side():
    assert TIMES.ratio("slow", "fast") == {"median": 3.0, "min": 3.0, "max": 8.0}


def test_target_is_missed_below_its_ratio_only():
    met, missed = Target("slow", "fast", 3.0), Target("slow", "fast", 3.1)
    case = Case("a race", TIMES, [met, missed])
    assert case.missed() == [missed]
    assert "fast: 3.00x as fast as slow, at least 3.1x is asked: missed" in case.as_text()


def test_photographs_differ_and_are_cameras_jpegs(tmp_path):
    files = make_photos(tmp_path, num=8, width=320, height=240)
    assert len({file.read_bytes() for file in files}) == 8
    image: Any
    with Image.open(files[7]) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (320, 240), "RGB")
        assert image.layer[0][1:3] == (2, 2)  # colours at half the resolution of brightness: 4:2:0


@pytest.mark.slow
def test_quick_run_of_loading_compares_outputs_and_counts_decodes(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.loading", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report = json.loads(file.read_text())
    photos, clip, repeats = report["cases"]
    assert photos["name"] in done.stdout
    assert photos["checks"]["pixel_values, largest difference to the peer"] <= 1e-5
    assert photos["checks"]["fast_decode, largest difference of scores"] <= 1e-2
    assert clip["checks"]["pixel_values_videos, largest difference to the peer"] <= 1e-5
    assert repeats["checks"] == {"decodes, peer": 8, "decodes, ours": 1}
    assert report["machine"]["versions"]["sentence-transformers"].startswith("6.2")
