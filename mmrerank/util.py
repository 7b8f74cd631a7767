"""Helpers under the peer's import path: `from mmrerank.util import mine_hard_negatives`."""

from mmrerank.training.negatives import mine_hard_negatives

__all__ = ["mine_hard_negatives"]
