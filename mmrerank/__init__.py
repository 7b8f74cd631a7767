"""mmrerank: score how well a query and a document match; text, image, audio, video and any mix of
them.

Importing this module is cheap: torch is loaded when the first model is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmrerank.cross_encoder import CrossEncoder
    from mmrerank.cross_encoder.model_card import CrossEncoderModelCardData
    from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
    from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments
    from mmrerank.errors import MMRerankError
    from mmrerank.media import MediaPolicy
    from mmrerank.pipeline import Pipeline
    from mmrerank.readers import InputExample
    from mmrerank.results import Ranking
    from mmrerank.types import Audio, Document, Image, Text, Video
    from mmrerank.util import mine_hard_negatives

__version__ = "0.1.0"

__all__ = [
    "Audio",
    "CrossEncoder",
    "CrossEncoderModelCardData",
    "CrossEncoderTrainer",
    "CrossEncoderTrainingArguments",
    "Document",
    "Image",
    "InputExample",
    "MMRerankError",
    "MediaPolicy",
    "Pipeline",
    "Ranking",
    "Text",
    "Video",
    "__version__",
    "mine_hard_negatives",
]

_HOME = {
    "Audio": "types",
    "CrossEncoder": "cross_encoder",
    "CrossEncoderModelCardData": "cross_encoder.model_card",
    "CrossEncoderTrainer": "cross_encoder.trainer",
    "CrossEncoderTrainingArguments": "cross_encoder.training_args",
    "Document": "types",
    "Image": "types",
    "InputExample": "readers",
    "MMRerankError": "errors",
    "MediaPolicy": "media",
    "Pipeline": "pipeline",
    "Ranking": "results",
    "Text": "types",
    "Video": "types",
    "mine_hard_negatives": "util",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mmrerank' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mmrerank.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
