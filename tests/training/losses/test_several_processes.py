"""Losses of a model that DistributedDataParallel has wrapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from mmrerank import CrossEncoder
from mmrerank.training import losses
from tests import checkpoints
from tests.training.losses._batches import LISTS, NEGATIVES, POSITIVES, QUERIES, list_labels

CASES: dict[str, tuple[dict[str, Any], list[Any], Any]] = {
    "CachedMultipleNegativesRankingLoss": (
        {"num_negatives": 0, "mini_batch_size": 1},
        [QUERIES, POSITIVES, NEGATIVES],
        None,
    ),
    "ListNetLoss": ({"mini_batch_size": -1}, [QUERIES, LISTS], list_labels()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_mean_of_their_gradients(name: str, tmp_path: Path) -> None:
    folder = str(checkpoints.build_bert(tmp_path / "m"))
    spawn(_train, args=(folder, str(tmp_path), name), nprocs=2, join=True)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    halves = [_gradients(CrossEncoder(folder, device="cpu"), name, rank) for rank in range(2)]
    assert len(halves[0]) > 10
    for weight in halves[0]:
        mean = (halves[0][weight] + halves[1][weight]) / 2
        for gradients in found:
            torch.testing.assert_close(gradients[weight], mean, atol=1e-6, rtol=1e-4)


def _train(rank: int, folder: str, shared: str, name: str) -> None:
    dist.init_process_group("gloo", f"file://{shared}/meeting", world_size=2, rank=rank)
    model = CrossEncoder(folder, device="cpu")
    torch.save(_gradients(model, name, rank, wrapped=True), f"{shared}/{rank}.pt")
    dist.destroy_process_group()


def _gradients(
    model: CrossEncoder, name: str, rank: int, *, wrapped: bool = False
) -> dict[str, torch.Tensor]:
    """Of the process's half of the batch."""
    options, columns, labels = CASES[name]
    loss = getattr(losses, name)(model, **options)
    if wrapped:
        loss.model = DistributedDataParallel(model, find_unused_parameters=True)
    half = slice(2 * rank, 2 * rank + 2)
    loss([column[half] for column in columns], labels and labels[half]).backward()
    return {
        name: weight.grad
        for name, weight in model.transformers_model.named_parameters()
        if weight.grad is not None
    }
