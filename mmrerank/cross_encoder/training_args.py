"""Training arguments and names of samplers, under the peer's import path."""

from mmrerank.training.arguments import CrossEncoderTrainingArguments
from mmrerank.training.samplers import BatchSamplers, MultiDatasetBatchSamplers

__all__ = ["BatchSamplers", "CrossEncoderTrainingArguments", "MultiDatasetBatchSamplers"]
