"""Training data from files: rows of texts and media in, columns that the trainer takes out."""

from mmrerank.training.data.judging import judged_pairs
from mmrerank.training.data.reading import read_training_data
from mmrerank.training.data.reshaping import (
    as_lists,
    as_loss_wants,
    as_pairs,
    as_tuples,
    form_of,
    label_of,
)

__all__ = [
    "as_lists",
    "as_loss_wants",
    "as_pairs",
    "as_tuples",
    "form_of",
    "judged_pairs",
    "label_of",
    "read_training_data",
]
