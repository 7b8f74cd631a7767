"""The default batches, and what every sampler of one dataset is built from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.utils.data import BatchSampler
from transformers.utils.generic import ExplicitEnum

__all__ = ["BatchSamplers", "DefaultBatchSampler", "reseed"]


class BatchSamplers(ExplicitEnum):
    """Names of the samplers that `batch_sampler` of the training arguments knows."""

    BATCH_SAMPLER = "batch_sampler"
    NO_DUPLICATES = "no_duplicates"
    NO_DUPLICATES_HASHED = "no_duplicates_hashed"
    GROUP_BY_LABEL = "group_by_label"


class DefaultBatchSampler(BatchSampler):
    """Batches in the order of `dataset`, which may be a sampler of indices; base of the others.

    A class of your own is passed as `batch_sampler=` of the training arguments and is built with
    these arguments. generator: shared by all samplers of a data loader. valid_label_columns: names
    that a column of labels may have.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> None:
        indices: Iterable[int] = dataset
        super().__init__(indices, batch_size=batch_size, drop_last=drop_last)
        self.valid_label_columns = valid_label_columns
        self.generator = generator
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer when an epoch begins: each has an order of its own."""
        self.epoch = epoch


def reseed(generator: torch.Generator | None, seed: int | None, epoch: int) -> None:
    """Start the epoch's own random numbers, so that a resumed run draws what it would have."""
    if generator is not None and seed is not None:
        generator.manual_seed(seed + epoch)
