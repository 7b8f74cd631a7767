"""Batches in which no value occurs in two rows, for losses whose negatives are other rows."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from mmrerank.extras import require
from mmrerank.training.samplers.base import DefaultBatchSampler, reseed

__all__ = ["NoDuplicatesBatchSampler"]

logger = logging.getLogger(__name__)

_NOT_COMPARED = frozenset({"dataset_name"})
_PLAIN = (str, int, float, bool, bytes, type(None), np.integer, np.floating, np.bool_)
# Passes over the dataset beyond the first that may be made to reach the announced length.
_MAX_EXTRA_PASSES = 2
# Below this many rows starting processes takes longer than hashing.
_MIN_ROWS_A_PROCESS = 10_000

ValuesOf = Callable[[int], Collection[Any]]


class NoDuplicatesBatchSampler(DefaultBatchSampler):
    """A row waits for a later batch while one of its values, in any column, is in this one.

    precompute_hashes: read the dataset once and keep 8 bytes a value, instead of reading each row
    again when it is compared; for media, which are decoded each time, this matters.
    precompute_num_proc: processes that hash, None for one a core but one, 8 at most.
    precompute_batch_size: rows hashed at a time.
    Raises MissingExtra when hashes are asked for and xxhash is not installed.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: Sequence[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
        precompute_hashes: bool = False,
        precompute_num_proc: int | None = None,
        precompute_batch_size: int = 1000,
    ) -> None:
        super().__init__(dataset, batch_size, drop_last, valid_label_columns, generator, seed)
        if precompute_hashes:
            require("xxhash", to="sample with precompute_hashes=True")
        # Equal labels are no duplicates.
        labels = [name for name in dataset.column_names if name in (valid_label_columns or ())]
        self.dataset = dataset.remove_columns(labels) if labels else dataset
        self.precompute_hashes = precompute_hashes
        self.precompute_num_proc = precompute_num_proc
        self.precompute_batch_size = precompute_batch_size
        self._hashes: np.ndarray[Any, np.dtype[np.int64]] | None = None

    def __iter__(self) -> Iterator[list[int]]:
        reseed(self.generator, self.seed, self.epoch)
        if len(self.dataset) == 0:
            return
        values_of = self._hashed_values if self.precompute_hashes else self._values
        num_given = 0
        # Not cut to the announced length: with drop_last=False smaller batches may follow.
        for batch in self._one_pass(values_of):
            yield batch
            num_given += 1
        if 0 < num_given < len(self):
            self._say_rows_repeat(num_given)
            for _ in range(_MAX_EXTRA_PASSES):
                for batch in self._one_pass(values_of):
                    yield batch
                    num_given += 1
                    if num_given >= len(self):
                        return
        if num_given < len(self):
            logger.warning(
                "the dataset gave %d of %d batches without duplicates: it has too few distinct "
                "values for batch_size=%d; lower it",
                num_given,
                len(self),
                self.batch_size,
            )

    def __len__(self) -> int:
        """What the batch size gives; an exact count would need the pass itself."""
        num_full, num_left = divmod(len(self.dataset), self.batch_size)
        return num_full + (num_left > 0 and not self.drop_last)

    def _one_pass(self, values_of: ValuesOf) -> Iterator[list[int]]:
        """Batches of one shuffle; `following` links the positions that wait, -1 is the end."""
        num_rows = len(self.dataset)
        order = torch.randperm(num_rows, generator=self.generator, dtype=_smallest(num_rows))
        rows = order.numpy()
        following = np.arange(1, num_rows + 1)
        following[-1] = -1
        head = 0
        while head != -1:
            batch: list[int] = []
            seen: set[Any] = set()
            before, position = -1, head
            while position != -1 and len(batch) < self.batch_size:
                after = int(following[position])
                row = int(rows[position])
                values = values_of(row)
                if any(value in seen for value in values):
                    before = position
                else:
                    batch.append(row)
                    seen.update(values)
                    if before == -1:
                        head = after
                    else:
                        following[before] = after
                position = after
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def _values(self, row: int) -> set[str]:
        """The row's values as texts that are equal for equal content."""
        columns = self.dataset[row].items()
        return {_as_text(value) for name, value in columns if name not in _NOT_COMPARED}

    def _hashed_values(self, row: int) -> list[int]:
        if self._hashes is None:
            self._hashes = self._hash_all()
        hashes: list[int] = self._hashes[row].tolist()
        return hashes

    def _hash_all(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(num_rows, num_columns); rows never change between epochs, so this runs once."""
        names = [name for name in self.dataset.column_names if name not in _NOT_COMPARED]
        num_processes = self.precompute_num_proc
        if num_processes is None:
            num_cores = max(1, min(8, (os.cpu_count() or 1) - 1))
            num_processes = min(num_cores, len(self.dataset) // _MIN_ROWS_A_PROCESS)
        hashed = self.dataset.map(
            _hash_rows,
            batched=True,
            batch_size=self.precompute_batch_size,
            num_proc=num_processes if num_processes > 1 else None,
            remove_columns=self.dataset.column_names,
            fn_kwargs={"names": names},
            desc="Hashing rows",
        )
        flat = np.asarray(hashed.with_format("numpy")["hashes"][:], dtype=np.int64)
        return flat.reshape(len(self.dataset), len(names))

    def _say_rows_repeat(self, num_given: int) -> None:
        num_missing = len(self) - num_given
        logger.warning(
            "one pass over the dataset gives %d of %d batches without duplicates; %d are drawn "
            "again (%.1f%% of the epoch repeats rows)",
            num_given,
            len(self),
            num_missing,
            100 * num_missing / len(self),
        )


def _hash_rows(columns: dict[str, list[Any]], *, names: list[str]) -> dict[str, Any]:
    """At module level: `datasets` pickles it for its processes."""
    import xxhash

    rows = zip(*(columns[name] for name in names), strict=True)
    texts = ([_as_text(value) for value in row] for row in rows)
    hashes = [[xxhash.xxh64_intdigest(text.encode("utf-8")) for text in row] for row in texts]
    # Arrow's int64 and ours are signed.
    return {"hashes": np.array(hashes, dtype=np.uint64).astype(np.int64).tolist()}


def _as_text(value: Any) -> str:
    """A text that is equal for equal content; the address of an object in memory is none."""
    if isinstance(value, _PLAIN):
        return str(value)
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, _PLAIN) for item in value):
            return str(value)
        return f"[{', '.join(map(_as_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_as_text(item)}' for key, item in value.items())}}}"
    # The sounds and clips of `datasets` pickle an address, but carry what they were read from.
    encoded = getattr(value, "_hf_encoded", None)
    try:
        return hashlib.sha256(pickle.dumps(value if encoded is None else encoded)).hexdigest()
    except Exception:  # what cannot be pickled is taken as different from all else
        return str(value)


def _smallest(num_rows: int) -> torch.dtype:
    """int32 where it is enough: the peer's choice, and the order drawn depends on it."""
    return torch.int32 if num_rows <= np.iinfo(np.int32).max else torch.int64
