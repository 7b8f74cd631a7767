"""The drop-in face: what scripts for sentence-transformers' CrossEncoder import, with the package
name changed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mmrerank.cross_encoder.model import CrossEncoder
from mmrerank.cross_encoder.modules import Dense, LayerNorm, LogitScore, Pooling, Transformer

if TYPE_CHECKING:
    from mmrerank.cross_encoder.data_collator import CrossEncoderDataCollator
    from mmrerank.cross_encoder.model_card import CrossEncoderModelCardData
    from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
    from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments

__all__ = [
    "CrossEncoder",
    "CrossEncoderDataCollator",
    "CrossEncoderModelCardData",
    "CrossEncoderTrainer",
    "CrossEncoderTrainingArguments",
    "Dense",
    "LayerNorm",
    "LogitScore",
    "Pooling",
    "Transformer",
]

# Loaded when asked for: training needs libraries that scoring does not.
_HOME = {
    "CrossEncoderDataCollator": "data_collator",
    "CrossEncoderModelCardData": "model_card",
    "CrossEncoderTrainer": "trainer",
    "CrossEncoderTrainingArguments": "training_args",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
