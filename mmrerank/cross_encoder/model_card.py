"""Model card data and the callback that fills them, under the peer's import path."""

from mmrerank.training.cards import CrossEncoderModelCardData
from mmrerank.training.cards.callback import CrossEncoderModelCardCallback

__all__ = ["CrossEncoderModelCardCallback", "CrossEncoderModelCardData"]
