"""The collator, under the peer's import path."""

from mmrerank.training.collator import CrossEncoderDataCollator

__all__ = ["CrossEncoderDataCollator"]
