"""CrossEncoderTrainer, under the peer's import path."""

from mmrerank.cross_encoder.model import CrossEncoder
from mmrerank.training.trainer import RerankerTrainer

__all__ = ["CrossEncoderTrainer"]


class CrossEncoderTrainer(RerankerTrainer):
    """Trains a CrossEncoder; arguments as of RerankerTrainer, which are the peer's."""

    model_class = CrossEncoder
