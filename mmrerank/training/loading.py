"""Data loaders of the trainer: samplers by the names in the arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, RandomSampler

from mmrerank.training.samplers import (
    BatchSamplers,
    DefaultBatchSampler,
    GroupByLabelBatchSampler,
    MultiDatasetBatchSamplers,
    NoDuplicatesBatchSampler,
    ProportionalBatchSampler,
    RoundRobinBatchSampler,
)

__all__ = ["batch_sampler_of", "make_loader", "multi_batch_sampler_of"]


def batch_sampler_of(choice: Any, dataset: Any, **options: Any) -> BatchSampler:
    """The sampler of one dataset.

    choice: a member of BatchSamplers, or a class or function that is called with dataset and
    options: batch_size, drop_last, valid_label_columns, generator, seed.
    """
    if not isinstance(choice, BatchSamplers):
        made: BatchSampler = choice(dataset, **options)
        return made
    if choice is BatchSamplers.NO_DUPLICATES:
        return NoDuplicatesBatchSampler(dataset, **options)
    if choice is BatchSamplers.NO_DUPLICATES_HASHED:
        return NoDuplicatesBatchSampler(dataset, precompute_hashes=True, **options)
    if choice is BatchSamplers.GROUP_BY_LABEL:
        return GroupByLabelBatchSampler(dataset, **options)
    return DefaultBatchSampler(RandomSampler(dataset, generator=options["generator"]), **options)


def multi_batch_sampler_of(
    choice: Any, dataset: ConcatDataset[Any], **options: Any
) -> BatchSampler:
    """The sampler over several datasets; options: batch_samplers, generator, seed."""
    if not isinstance(choice, MultiDatasetBatchSamplers):
        made: BatchSampler = choice(dataset, **options)
        return made
    if choice is MultiDatasetBatchSamplers.ROUND_ROBIN:
        return RoundRobinBatchSampler(dataset, **options)
    return ProportionalBatchSampler(dataset, **options)


def make_loader(
    dataset: Any,
    *,
    batch_size: int,
    args: Any,
    collator: Any,
    sampler_of: Callable[..., BatchSampler],
    multi_sampler_of: Callable[..., BatchSampler],
) -> DataLoader[Any]:
    """Batches of a Dataset or DatasetDict, on this process's own; accelerate splits them.

    The two functions make the samplers, so that a trainer may have its own.
    """
    generator = torch.Generator()
    if args.seed is not None:
        generator.manual_seed(args.seed)

    def sampler(part: Any) -> BatchSampler:
        return sampler_of(
            part,
            batch_size=batch_size,
            drop_last=args.dataloader_drop_last,
            valid_label_columns=collator.valid_label_columns,
            generator=generator,
            seed=args.seed,
        )

    if isinstance(dataset, Mapping):
        samplers: Sequence[BatchSampler] = [sampler(part) for part in dataset.values()]
        dataset = ConcatDataset(list(dataset.values()))
        batch_sampler = multi_sampler_of(
            dataset=dataset, batch_samplers=samplers, generator=generator, seed=args.seed
        )
    else:
        batch_sampler = sampler(dataset)
    return DataLoader(
        dataset,
        batch_sampler=batch_sampler,
        collate_fn=collator,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory,
        persistent_workers=args.dataloader_persistent_workers,
        prefetch_factor=args.dataloader_prefetch_factor,
    )
