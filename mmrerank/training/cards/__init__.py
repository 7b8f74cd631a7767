"""Model cards: what a training run says of itself, gathered as it goes and written as README.md.

The callback is in `mmrerank.training.cards.callback`: it needs transformers' trainer, these do not.
"""

from mmrerank.training.cards.data import CrossEncoderModelCardData
from mmrerank.training.cards.front import front_matter
from mmrerank.training.cards.text import CardFacts, card_text

__all__ = ["CardFacts", "CrossEncoderModelCardData", "card_text", "front_matter"]
