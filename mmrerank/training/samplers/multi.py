"""In which order batches are taken from several datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch.utils.data import BatchSampler, ConcatDataset, SubsetRandomSampler
from transformers.utils.generic import ExplicitEnum

from mmrerank.errors import InputError
from mmrerank.training.samplers.base import DefaultBatchSampler, reseed

__all__ = [
    "MultiDatasetBatchSamplers",
    "MultiDatasetDefaultBatchSampler",
    "ProportionalBatchSampler",
    "RoundRobinBatchSampler",
]


class MultiDatasetBatchSamplers(ExplicitEnum):
    """Names of the samplers that `multi_dataset_batch_sampler` of the training arguments knows."""

    ROUND_ROBIN = "round_robin"
    PROPORTIONAL = "proportional"


class MultiDatasetDefaultBatchSampler(BatchSampler, ABC):
    """Base of samplers of several datasets: each batch comes from one of them.

    dataset: the datasets one after the other. batch_samplers: one a dataset, in the same order; the
    indices of a batch are moved to where the dataset begins.
    Raises InputError when there are not as many samplers as datasets.
    """

    def __init__(
        self,
        dataset: ConcatDataset[Any],
        batch_samplers: Sequence[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> None:
        if len(dataset.datasets) != len(batch_samplers):
            raise InputError(
                f"{len(batch_samplers)} batch samplers for {len(dataset.datasets)} datasets: "
                "the number of batch samplers must match the number of datasets."
            )
        first = batch_samplers[0]
        super().__init__(range(len(dataset)), first.batch_size, first.drop_last)
        self.dataset = dataset
        self.batch_samplers = batch_samplers
        self.generator = generator
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer when an epoch begins."""
        self.epoch = epoch
        for sampler in self.batch_samplers:
            if isinstance(sampler, DefaultBatchSampler):
                sampler.set_epoch(epoch)

    @property
    def offsets(self) -> list[int]:
        """Where each dataset begins in the concatenation."""
        return [0, *accumulate(len(part) for part in self.dataset.datasets)][:-1]  # type: ignore[arg-type]

    @abstractmethod
    def __iter__(self) -> Iterator[list[int]]: ...

    @abstractmethod
    def __len__(self) -> int: ...


class RoundRobinBatchSampler(MultiDatasetDefaultBatchSampler):
    """One batch of each dataset in turn, until the first of them is used up."""

    def __iter__(self) -> Iterator[list[int]]:
        reseed(self.generator, self.seed, self.epoch)
        # Not strict: the round that one dataset cannot fill is the end.
        for batches in zip(*self.batch_samplers, strict=False):
            for offset, batch in zip(self.offsets, batches, strict=True):
                yield [index + offset for index in batch]

    def __len__(self) -> int:
        return min(map(_length, self.batch_samplers)) * len(self.batch_samplers)


class ProportionalBatchSampler(MultiDatasetDefaultBatchSampler):
    """Every batch of every dataset once, in random order: larger datasets come up more often."""

    def __iter__(self) -> Iterator[list[int]]:
        reseed(self.generator, self.seed, self.epoch)
        turns = [
            number
            for number, sampler in enumerate(self.batch_samplers)
            for _ in range(_length(sampler))
        ]
        offsets = self.offsets
        batches = [iter(sampler) for sampler in self.batch_samplers]
        for number in SubsetRandomSampler(turns, generator=self.generator):
            # A sampler that leaves duplicates out may end before its announced length.
            batch = next(batches[number], None)
            if batch is not None:
                yield [index + offsets[number] for index in batch]

    def __len__(self) -> int:
        return sum(map(_length, self.batch_samplers))


def _length(sampler: BatchSampler) -> int:
    return len(sampler)
