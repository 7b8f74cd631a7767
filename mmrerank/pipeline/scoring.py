"""Logits of documents to results, in the order that they were read in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mmrerank.errors import EngineError
from mmrerank.pipeline.options import CallOptions
from mmrerank.types import Document, DocumentError, Pair, Score

__all__ = ["ReadDocument", "results_of"]


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What is known of a document that the model has read: see `Score`."""

    index: int
    num_tokens: int
    num_truncated: int = 0
    cut_s: float = 0.0


def results_of(
    documents: Sequence[ReadDocument], logits: Tensor, values: Tensor, options: CallOptions
) -> dict[int, Score | DocumentError]:
    """Scores by the index of their pair; an error in the place of what is no number.

    logits: (num_documents, num_labels) float32. values: after the activation, (num_documents,) for
    one label. Raises EngineError for what is no number where the options say so.
    """
    return {
        document.index: _no_number(document.index, options)
        if np.isnan(row).any()
        else Score(
            document.index,
            row,
            value,
            document.num_tokens,
            document.num_truncated,
            document.cut_s,
        )
        for document, row, value in zip(documents, _rows(logits), _rows(values), strict=True)
    }


def _no_number(index: int, options: CallOptions) -> DocumentError:
    """For a pair whose logit is NaN; raised where the options say so."""
    _, document = options.names(Pair(index, Document(()), Document(())))
    error = EngineError(
        f"{document}: the model's output is no number (NaN). In half precision its states may have "
        'grown too large: try model_kwargs={"dtype": "float32"}; else its weights are broken.'
    )
    if options.on_error == "raise":
        raise error
    return DocumentError(index, error)


def _rows(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().float().cpu().numpy()
    return array
