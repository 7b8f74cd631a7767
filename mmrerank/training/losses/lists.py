"""Queries with a list of documents each: one flat run through the model, then padded matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mmrerank.errors import InputError, shorten
from mmrerank.training.labels import LabelRule
from mmrerank.training.losses.checks import check_columns
from mmrerank.training.scoring import pair_logits

__all__ = ["ListBatch", "score_lists"]


class ListLoss(Protocol):
    """What `score_lists` reads of a loss."""

    @property
    def label_rule(self) -> LabelRule: ...
    @property
    def model(self) -> Any: ...
    @property
    def activation_fn(self) -> Callable[[Tensor], Tensor]: ...
    @property
    def mini_batch_size(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class ListBatch:
    """Logits and labels of all documents, and where they stand in a matrix of a row a query.

    logits, labels: float32 (num_documents,), query by query
    mask: bool (num_queries, max_documents), True where a query has a document
    """

    logits: Tensor
    labels: Tensor
    mask: Tensor

    def logit_matrix(self, *, fill: float) -> Tensor:
        """(num_queries, max_documents) with gradients; `fill` where there is no document."""
        return self._matrix(self.logits, fill)

    def label_matrix(self, *, fill: float) -> Tensor:
        """(num_queries, max_documents); `fill` where there is no document."""
        return self._matrix(self.labels, fill)

    def _matrix(self, values: Tensor, fill: float) -> Tensor:
        empty = torch.full(self.mask.shape, fill, dtype=values.dtype, device=values.device)
        return empty.masked_scatter(self.mask, values)


def score_lists(
    loss: ListLoss,
    inputs: Sequence[Sequence[Any]],
    labels: Tensor | Sequence[Any] | None,
    *,
    prompt: str | None,
    task: str | None,
) -> ListBatch:
    """Score (queries, lists of documents), as many pairs at a time as the loss says.

    labels: for each query a tensor or list of a number for each document.
    Raises InputError, naming the row, unless documents and labels are lists of equal lengths.
    """
    name = type(loss).__name__
    check_columns(name, loss.label_rule, inputs)
    queries, lists = inputs
    targets = _checked_labels(name, queries, lists, labels)
    pairs = [
        (query, document)
        for query, documents in zip(queries, lists, strict=True)
        for document in documents
    ]
    if not pairs:
        raise InputError(f"{name}: none of the {len(queries)} queries of a batch has a document.")
    step = _num_pairs_a_pass(loss.mini_batch_size, len(queries), len(pairs))
    found = [
        pair_logits(loss.model, pairs[start : start + step], prompt=prompt, task=task).view(-1)
        for start in range(0, len(pairs), step)
    ]
    # float32 also where the model works in bfloat16: neighbours of a long list would tie.
    logits = loss.activation_fn(torch.cat(found).float())
    lengths = torch.tensor([len(documents) for documents in lists], device=logits.device)
    places = torch.arange(int(lengths.max()), device=logits.device)
    return ListBatch(logits, targets.to(logits.device), places < lengths.unsqueeze(1))


def _num_pairs_a_pass(mini_batch_size: int | None, num_queries: int, num_pairs: int) -> int:
    """The peer's rule: None takes as many pairs as there are queries, 0 and less take all."""
    if mini_batch_size is None:
        return num_queries
    return mini_batch_size if mini_batch_size > 0 else num_pairs


def _checked_labels(
    name: str, queries: Sequence[Any], lists: Sequence[Any], labels: Tensor | Sequence[Any] | None
) -> Tensor:
    """All labels, float32 (num_documents,)."""
    if labels is None or isinstance(labels, Tensor):
        given = "none at all" if labels is None else "a single value for each sample"
        raise InputError(
            f"{name} expects a list of labels for each sample (one for each document), but got "
            f"{given}."
        )
    if len(labels) != len(queries):
        raise InputError(f"{name}: {len(queries)} queries, but labels for {len(labels)}.")
    rows = [torch.as_tensor(row).detach().float().reshape(-1) for row in labels]
    for number, (documents, row) in enumerate(zip(lists, rows, strict=True)):
        if isinstance(documents, str | bytes | Mapping) or not isinstance(documents, Sized):
            raise InputError(
                f"{name}, row {number} of the batch: the second column must hold lists of "
                f"documents, found {shorten(documents)}."
            )
        if len(documents) != len(row):
            raise InputError(
                f"{name}, row {number} of the batch: Number of documents per query in inputs "
                f"({len(documents)}) does not match number of labels per query ({len(row)})."
            )
    return torch.cat(rows)
