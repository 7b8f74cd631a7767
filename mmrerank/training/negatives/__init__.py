"""Hard negatives: documents that look like a match for a query and are none."""

from mmrerank.training.negatives.mining import mine_hard_negatives

__all__ = ["mine_hard_negatives"]
