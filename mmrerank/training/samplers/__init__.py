"""Which rows make a batch, and in which order; for the same seed the same batches as the peer."""

from mmrerank.training.samplers.base import BatchSamplers, DefaultBatchSampler
from mmrerank.training.samplers.by_label import GroupByLabelBatchSampler
from mmrerank.training.samplers.multi import (
    MultiDatasetBatchSamplers,
    MultiDatasetDefaultBatchSampler,
    ProportionalBatchSampler,
    RoundRobinBatchSampler,
)
from mmrerank.training.samplers.no_duplicates import NoDuplicatesBatchSampler

__all__ = [
    "BatchSamplers",
    "DefaultBatchSampler",
    "GroupByLabelBatchSampler",
    "MultiDatasetBatchSamplers",
    "MultiDatasetDefaultBatchSampler",
    "NoDuplicatesBatchSampler",
    "ProportionalBatchSampler",
    "RoundRobinBatchSampler",
]
