"""Batches in which several labels occur at least twice each."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from mmrerank.errors import InputError, shorten
from mmrerank.training.samplers.base import DefaultBatchSampler, reseed

__all__ = ["GroupByLabelBatchSampler"]

# Two rows of each of two labels: what comparing rows within a batch needs at least.
_MIN_BATCH = 4


class GroupByLabelBatchSampler(DefaultBatchSampler):
    """Labels take turns, in a new order each round, and give two rows a turn.

    The rows end when only one label has pairs left; a label of a single row is left out.
    Raises InputError when the batch size is odd or below 4, there is no column of labels, or fewer
    than two labels have two rows.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(dataset, batch_size, drop_last, valid_label_columns, generator, seed)
        self.dataset = dataset
        if batch_size < _MIN_BATCH or batch_size % 2:
            raise InputError(f"batch_size={batch_size}: must be an even number >= {_MIN_BATCH}")
        rows: dict[Any, list[int]] = defaultdict(list)
        for row, label in enumerate(_labels_of(dataset, valid_label_columns)):
            rows[label].append(row)
        self.groups = {label: indices for label, indices in rows.items() if len(indices) >= 2}
        if len(self.groups) < 2:
            raise InputError(
                "batch_sampler='group_by_label' needs at least 2 distinct labels with >= 2 rows "
                f"each; {len(self.groups)} of {len(rows)} labels have that many."
            )
        num_pairs = sorted((len(rows) // 2 for rows in self.groups.values()), reverse=True)
        # After as many rounds as the second largest label has pairs, only one label is left.
        self._num_rows = 2 * sum(min(pairs, num_pairs[1]) for pairs in num_pairs)

    def __iter__(self) -> Iterator[list[int]]:
        reseed(self.generator, self.seed, self.epoch)
        batch: list[int] = []
        for pair in self._pairs():
            batch += pair
            if len(batch) >= self.batch_size:
                yield batch[: self.batch_size]
                batch = batch[self.batch_size :]
        if not self.drop_last and len(batch) >= _MIN_BATCH:
            yield batch

    def __len__(self) -> int:
        num_full, num_left = divmod(self._num_rows, self.batch_size)
        return num_full + (not self.drop_last and num_left >= _MIN_BATCH)

    def _pairs(self) -> Iterator[list[int]]:
        """Two rows of a label at a time, neighbours never of the same label within a batch."""
        waiting = {label: self._shuffled_pairs(rows) for label, rows in self.groups.items()}
        labels = list(waiting)
        num_given, last = 0, None
        while len(labels) >= 2:
            labels = [labels[i] for i in torch.randperm(len(labels), generator=self.generator)]
            begins_batch = num_given % self.batch_size == 0
            if labels[0] == last and not begins_batch:
                labels[0], labels[1] = labels[1], labels[0]
            for label in labels:
                yield [waiting[label].popleft(), waiting[label].popleft()]
            num_given += 2 * len(labels)
            last = labels[-1]
            labels = [label for label in labels if waiting[label]]

    def _shuffled_pairs(self, rows: list[int]) -> deque[int]:
        order = torch.randperm(len(rows), generator=self.generator)[: len(rows) // 2 * 2]
        return deque(rows[i] for i in order)


def _labels_of(dataset: Any, valid_label_columns: Sequence[str] | None) -> list[Any]:
    for name in valid_label_columns or ():
        if name in dataset.column_names:
            # Without a transform of the rows, which may refuse to give a column alone.
            return list(dataset.with_format(None)[name])
    raise InputError(
        f"batch_sampler='group_by_label' needs a column of labels, named one of "
        f"{list(valid_label_columns or ())}; the dataset has {shorten(dataset.column_names)}."
    )
