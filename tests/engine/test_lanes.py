"""Batches side by side: each lane has its share of the cores, and what runs alone has all."""

from __future__ import annotations

import threading

import torch

from mmrerank.engine.lanes import lanes_on


def threads_after_some_work() -> tuple[int, int]:
    torch.rand(200, 200) @ torch.rand(200, 200)
    return torch.get_num_threads(), threading.get_ident()


def test_lane_computes_with_its_share_of_the_threads():
    lanes = lanes_on("cpu")
    assert lanes.num == 2
    for _ in range(4):
        num_threads, thread = lanes.start(threads_after_some_work).result()
        assert num_threads == 1
        assert thread != threading.get_ident()


def test_caller_keeps_its_threads():
    lanes_on("cpu").start(threads_after_some_work).result()
    assert torch.get_num_threads() == 2


def test_what_runs_alone_has_all_threads():
    assert lanes_on("cpu").start(threads_after_some_work, alone=True).result() == (
        2,
        threading.get_ident(),
    )
