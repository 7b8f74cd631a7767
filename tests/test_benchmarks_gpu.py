"""The benchmark for GPUs runs without one, and counts and compares as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._gpu_checkpoints import (
    SHAPES,
    TINY_SHAPES,
    Place,
    Rerankers,
    make_model,
    make_rerankers,
)
from benchmarks._gpu_flops import num_flops, peak_flops_per_s, unique_parts
from benchmarks._gpu_measure import fastest_batch_size
from benchmarks._pairs import make_pictures, make_text
from benchmarks._vendor import OneByOne
from benchmarks.gpu import Run, main, measure_shape
from mmrerank.inputs import parse_pairs
from mmrerank.types import EncodedGroup, Pair

ROOT = Path(__file__).parents[1]
CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rerankers]:
    folder = tmp_path_factory.mktemp("gpu") / "checkpoint"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make_rerankers(TINY_SHAPES["qwen3-vl-2b"], folder, CPU)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("name", "num_millions"),
    [
        # As published, embeddings included; the ettin reranker's heads are not in its backbone.
        ("qwen3-vl-2b", 2127.5),
        ("qwen3-vl-8b", 8767.1),
        ("minilm-l6", 22.7),
        ("bge-v2-m3", 567.8),
        ("ettin-150m", 149.0),
    ],
)
def test_shapes_have_as_many_parameters_as_the_published_models(name, num_millions, tmp_path):
    shape = SHAPES[name]
    folder = shape.files(tmp_path / "checkpoint")
    model = make_model(shape, folder, Place(torch.device("meta"), torch.bfloat16))
    assert model.dtype == torch.bfloat16
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(num_millions, abs=0.1)


@pytest.mark.parametrize("name", TINY_SHAPES)
def test_both_libraries_compute_with_the_model_that_took_the_tiny_ones_place(name, tmp_path):
    rerankers = make_rerankers(TINY_SHAPES[name], tmp_path / "checkpoint", CPU)
    pairs = [("a dog", make_text(seed, 20 + seed)) for seed in range(4)]
    before = rerankers.peer.predict(pairs)
    np.testing.assert_allclose(rerankers.ours.predict(pairs), before, atol=1e-5)
    with torch.no_grad():
        for parameter in rerankers.model.parameters():
            parameter.mul_(0.5)
    after = rerankers.peer.predict(pairs)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(rerankers.ours.predict(pairs), after, atol=1e-5)


def test_one_pair_at_a_time_gives_the_scores_of_the_peer(multimodal):
    picture, other = make_pictures(0, 2, side_px=64)
    pairs: list[Any] = [("a dog", make_text(1, 30)), ("a dog", picture), (other, "a red bench")]
    scores = OneByOne(multimodal.model, multimodal.folder).predict(pairs)
    assert scores.std() > 1e-3
    np.testing.assert_allclose(scores, multimodal.peer.predict(pairs), atol=1e-5)


def test_unique_parts_count_each_beginning_once():
    prompts = ([1, 2, 3, 4], [1, 2, 3, 5, 6], [1, 2], [7], [1, 2, 3, 4])
    groups = [
        EncodedGroup(np.array(ids, np.int64), score_at=(len(ids) - 1,), indices=(i,))
        for i, ids in enumerate(prompts)
    ]
    assert sorted(unique_parts(groups)) == [(0, 1), (0, 2), (2, 4), (3, 5)]


def test_unique_parts_are_the_tokens_that_the_engine_computes(multimodal):
    picture, other = make_pictures(1, 2, side_px=64)
    # Short branches within branches are computed twice by the engine, so there are none here.
    pairs: list[Any] = [("a dog", picture), ("a dog", other)]
    num_tokens = sum(end - start for start, end in unique_parts(_encoded(multimodal, pairs)))
    assert num_tokens == multimodal.ours.explain_plan(pairs).num_computed


def test_operations_are_those_that_torch_counts(multimodal):
    pair = ("a dog", make_pictures(2, 1, side_px=128)[0])
    own = num_flops(multimodal.model, _encoded(multimodal, [pair]))
    with FlopCounterMode(display=False) as counter:
        OneByOne(multimodal.model, multimodal.folder).predict([pair])
    # torch counts attention to tokens that stand behind as well, and no norms.
    assert own == pytest.approx(counter.get_total_flops(), rel=0.1)


def _encoded(rerankers: Rerankers, pairs: list[Any]) -> list[EncodedGroup]:
    parsed = parse_pairs(pairs).pairs
    groups, _ = rerankers.ours.pipeline.encode([pair for pair in parsed if isinstance(pair, Pair)])
    return groups


@pytest.mark.parametrize(
    ("name", "tflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
    ],
)
def test_peak_of_a_known_device_is_its_makers_figure(name, tflops):
    assert peak_flops_per_s(name) == tflops * 1e12


@pytest.mark.parametrize("name", ["NVIDIA RTX A4000", "Some Other GPU", "None"])
def test_device_that_is_not_in_the_table_has_no_peak(name):
    assert peak_flops_per_s(name) is None


def test_batch_size_that_memory_is_too_small_for_is_left_out():
    def call(size: int) -> None:
        if size > 32:
            raise torch.OutOfMemoryError("no room")

    assert fastest_batch_size(call, (32, 128)) == 32
    with pytest.raises(torch.OutOfMemoryError):
        fastest_batch_size(call, (64, 128))


def test_rows_of_a_shape_measure_every_contestant(capsys):
    run = Run(replace(CPU, dtype=torch.bfloat16), 1, peak_flops_per_s=1e12, is_tiny=True)
    rows = measure_shape("qwen3-vl-2b", TINY_SHAPES["qwen3-vl-2b"], run)
    shown = capsys.readouterr().out
    assert len(rows) == 3
    for row in rows:
        assert row.work.name in shown
        assert set(row.times.seconds) == {"peer", "ours", "one pair at a time"}
        assert 0 < row.checks["model FLOP utilisation, ours"] < 1
        spread = row.checks["scores in float32, standard deviation"]
        assert row.checks["mean difference to scores in float32, ours"] < spread
    assert [target.slow for target in rows[0].case.targets] == ["peer", "one pair at a time"]
    assert [verdict.name for verdict in rows[0].verdicts] == [
        "model FLOP utilisation",
        "our difference to float32 over the peer's",
    ]
    assert rows[0].is_missed  # a teraflop a second is far from what so small a model reaches


@pytest.mark.slow
def test_tiny_run_of_all_shapes_ends_well(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--rounds", "1"]
    subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, check=True)
    names = [case["name"] for case in json.loads(file.read_text())["cases"]]
    assert len(names) == 12
    assert {name.split(",")[0] for name in names} == set(TINY_SHAPES)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_says_what_to_do():
    with pytest.raises(SystemExit, match="--tiny"):
        main([])
