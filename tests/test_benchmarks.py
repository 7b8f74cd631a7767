"""The benchmarks run, compare like with like and report what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from benchmarks import growth, plot
from benchmarks._fastest import fastest_of
from benchmarks._measure import Times, time_in_turns
from benchmarks._media import make_photos
from benchmarks._report import Case, Target
from benchmarks._verdicts import Verdict, verdict_lines
from mmrerank import CrossEncoder
from tests.checkpoints import build_bert

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


# ---------------------------------------------------------------- verdicts and growth


def test_verdict_is_missed_outside_its_bounds_and_for_what_is_no_number():
    assert Verdict("share", 0.5, at_least=0.45).is_met
    assert not Verdict("share", 0.4, at_least=0.45).is_met
    assert Verdict("growth", 1.15, at_most=1.15).is_met
    assert not Verdict("growth", 1.16, at_most=1.15).is_met
    assert not Verdict("growth", float("nan"), at_most=1.15).is_met
    missed = verdict_lines([Verdict("share", 0.4, at_least=0.45)])
    assert missed == "  share: 0.4, at least 0.45 is asked: missed\n"


def test_lists_of_any_length_have_documents_of_the_same_lengths():
    documents = [document for _, document in growth.pairs_of(10_000)]
    assert len(set(documents)) == 10_000
    lengths = [len(document.split()) for document in documents]
    assert {sum(lengths[start : start + 10]) for start in range(0, 10_000, 10)} == {200}


@pytest.mark.parametrize(
    ("ms", "stream_mb", "met"),
    [
        ([9.0, 4.0, 4.5], [50, 52], [True, True, True]),  # falling, then flat
        ([9.0, 4.0, 4.7], [50, 52], [False, True, True]),
        ([4.0, 4.0, 4.0], [50, 60], [True, True, False]),
    ],
)
def test_growth_is_judged_by_the_least_of_shorter_lists(ms, stream_mb, met):
    points = [
        growth.Point(100, [ms[0]]),
        growth.Point(1_000, [ms[1]], [51_000_000], [stream_mb[0] * 1_000_000]),
        # What is as long as the list is the caller's: 10 MB of the 63.
        growth.Point(10_000, [ms[2]], [63_000_000], [stream_mb[1] * 1_000_000]),
    ]
    assert [verdict.is_met for verdict in growth.verdicts_of(points)] == met


def test_lists_are_measured_in_turns_and_memory_of_the_long_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "_FIRST_OF_MEMORY", 4)
    model = CrossEncoder(str(build_bert(tmp_path / "model")), device="cpu")
    series = growth.Series("tiny", build_bert, (2, 4), num_pairs_timed=4)
    short, long = growth.measure(model, series, num_rounds=2)
    assert (short.num, len(short.ms), short.peak_bytes, short.stream_bytes) == (2, 2, [], [])
    assert (long.num, len(long.ms)) == (4, 2)
    assert (len(long.peak_bytes), len(long.stream_bytes)) == (2, 2)


@pytest.mark.slow
def test_growth_of_short_lists_is_written_as_json(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.growth", "--series", "minilm", "--most", "30"]
    command += ["--rounds", "1", "--json", str(file)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (series,) = json.loads(file.read_text())["series"]
    assert [point["num_documents"] for point in series["points"]] == [10, 30]
    assert all(point["ms_per_document"][0] > 0 for point in series["points"])


# ---------------------------------------------------------------- the picture


def _figures(**ratios: float) -> dict[str, Any]:
    """What `benchmarks.vs_peer --json` writes, as far as the picture shows it."""
    versions = {"sentence-transformers": "6.2.0", "transformers": "5.23.0", "torch": "2.15.0"}
    machine = {"cpu": "AMD EPYC", "torch_threads": 2, "versions": versions, "date": "2026-11-21"}
    targets = {
        name: {
            "slow": "peer",
            "fast": "ours",
            "least_ratio": 1.5,
            "ratio": {"median": ratio, "min": ratio - 0.1, "max": ratio + 0.1},
            "met": ratio >= 1.5,
        }
        for name, ratio in ratios.items()
    }
    cases = [{"name": name, "targets": [target]} for name, target in targets.items()]
    return {"machine": machine, "cases": cases}


def test_picture_is_the_same_for_the_same_figures(tmp_path):
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps(_figures(one=2.0, other=4.0)))
    files = [tmp_path / "one.svg", tmp_path / "again.svg"]
    for file in files:
        plot.main([str(figures), "--out", str(file)])
    assert ElementTree.parse(files[0]).getroot().tag.endswith("svg")
    assert files[0].read_bytes() == files[1].read_bytes()


def test_bars_are_as_long_as_their_ratios(tmp_path):
    file = tmp_path / "picture.png"
    plot.draw(plot.read_bars(_figures(one=2.0, other=4.0)), "a machine", file)
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    is_blue = (np.abs(pixels - [0x2F, 0x81, 0xF7]) < 8).all(axis=2)
    lengths = [
        np.flatnonzero(row).max() - np.flatnonzero(row).min() for row in is_blue if row.any()
    ]
    first, second = lengths[0], lengths[-1]
    assert second / first == pytest.approx(2.0, abs=0.05)


def test_case_of_two_targets_has_two_bars():
    figures = _figures(one=2.0)
    fastest = {**figures["cases"][0]["targets"][0], "fast": "ours, bf16"}
    figures["cases"][0]["targets"].append(fastest)
    assert [bar.name for bar in plot.read_bars(figures)] == ["one\nours", "one\nours, bf16"]


def test_bar_says_what_else_than_the_peer_it_is_measured_against():
    figures = _figures(one=2.0)
    figures["cases"][0]["targets"][0]["slow"] = "peer, on something"
    assert [bar.name for bar in plot.read_bars(figures)] == ["one\nagainst peer, on something"]


def test_bar_of_one_target_names_ours_where_it_is_not_as_it_comes():
    figures = _figures(one=2.0)
    figures["cases"][0]["targets"][0].update(fast="ours, OpenVINO f32", slow="peer, torch bf16")
    (bar,) = plot.read_bars(figures)
    assert bar.name == "one\nours, OpenVINO f32\nagainst peer, torch bf16"


def test_fastest_of_a_library_is_the_one_with_the_smallest_median():
    seconds = {"peer, a": [3.0, 3.0, 3.0], "peer, b": [2.0, 9.0, 2.5], "ours, c": [1.0, 1.0, 1.0]}
    times = Times(seconds, seconds)
    assert fastest_of("peer", times) == "peer, b"
    assert fastest_of("ours", times) == "ours, c"


def test_picture_without_figures_says_how_to_make_them(tmp_path):
    with pytest.raises(SystemExit, match=r"benchmarks\.vs_peer --json"):
        plot.main([str(tmp_path / "none.json")])
