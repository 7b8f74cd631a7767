"""Labels of a dataset, row by row, whatever holds it; media columns are not decoded for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor

from mmrerank.errors import WrongArgument, shorten

__all__ = [
    "LABEL_COLUMNS",
    "LabelTable",
    "LabelledRow",
    "is_dict_of_datasets",
    "is_stream",
    "is_table",
    "named_parts",
]

# The first of these that a dataset has is its label, as in the peer's collator.
LABEL_COLUMNS = ("label", "labels", "score", "scores")
# Rows of a stream are fetched, and their media decoded, to be looked at.
_MAX_STREAMED_ROWS = 100
# Where rows were shuffled, arrow copies a batch: a hundred rows of pictures are a few megabytes.
_ARROW_BATCH_ROWS = 100


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A label as Python numbers. num_documents: None where documents are no list, or not asked."""

    index: int
    label: Any
    num_inputs: int
    num_documents: int | None


@dataclass(frozen=True, slots=True)
class LabelTable:
    """Names of the input columns and of the label (None: there is none), and where to read them."""

    inputs: list[str]
    label: str | None
    dataset: Any

    @classmethod
    def of(cls, dataset: Any, label_columns: Sequence[str], *, name: str) -> LabelTable:
        """Raises WrongArgument for what is no dataset."""
        columns = _columns_of(dataset, name)
        label = next((column for column in label_columns if column in columns), None)
        return cls([column for column in columns if column != label], label, dataset)

    def rows(self, *, with_num_documents: bool) -> Iterator[LabelledRow]:
        """All rows of a table, the first ones of a stream."""
        documents = self.inputs[1] if with_num_documents and len(self.inputs) == 2 else None
        spread = len(self.inputs) - 1 if with_num_documents and documents is None else None
        for index, (label, length) in enumerate(self._values(documents)):
            yield LabelledRow(
                index, _plain(label), len(self.inputs), length if spread is None else spread
            )

    def _values(self, documents: str | None) -> Iterator[tuple[Any, int | None]]:
        dataset, label = self.dataset, str(self.label)
        if is_table(dataset):
            yield from _arrow_values(dataset, label, documents)
        elif isinstance(dataset, Mapping):
            lists = dataset[documents] if documents else [None] * len(dataset[label])
            yield from zip(dataset[label], map(_length, lists), strict=True)
        else:
            limit = None if isinstance(dataset, list | tuple) else _MAX_STREAMED_ROWS
            for row in islice(iter(dataset), limit):
                yield row[label], _length(row[documents]) if documents else None


def named_parts(name: str, dataset: Any, loss: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, dataset, loss) of each dataset in a dict of datasets, or of the one there is.

    loss: None where a dict of losses has none for a dataset.
    """
    if not is_dict_of_datasets(dataset):
        yield name, dataset, loss
        return
    for key, part in dataset.items():
        yield f"{name}[{key!r}]", part, loss.get(key) if isinstance(loss, Mapping) else loss


def is_dict_of_datasets(dataset: Any) -> bool:
    """A DatasetDict, or a dict of datasets or of dicts of columns."""
    return isinstance(dataset, Mapping) and any(
        isinstance(part, Mapping) or is_table(part) or is_stream(part) for part in dataset.values()
    )


def _columns_of(dataset: Any, name: str) -> list[str]:
    columns: Any = None
    if is_table(dataset):
        columns = dataset.column_names
    elif isinstance(dataset, Mapping):
        columns = dataset
    elif is_stream(dataset) or isinstance(dataset, list | tuple):
        columns = next(iter(dataset), {})
    if isinstance(columns, list | Mapping):
        return [str(column) for column in columns if column != "dataset_name"]
    raise WrongArgument(
        f"{name} must be a datasets.Dataset, a dict of columns or a list of dicts, got "
        f"{shorten(dataset)}."
    )


def _arrow_values(
    dataset: Any, label: str, documents: str | None
) -> Iterator[tuple[Any, int | None]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [label, *([documents] if documents else [])]
    for batch in (
        dataset.select_columns(names).with_format("arrow").iter(batch_size=_ARROW_BATCH_ROWS)
    ):
        labels = batch[label].to_pylist()
        kind = batch[documents].type if documents else None
        is_list = kind is not None and (
            pa.types.is_list(kind)
            or pa.types.is_large_list(kind)
            or pa.types.is_fixed_size_list(kind)
        )
        lengths = pc.list_value_length(batch[documents]).to_pylist() if is_list else None
        yield from zip(labels, lengths or [None] * len(labels), strict=True)


def is_table(value: Any) -> bool:
    """A datasets.Dataset whose columns are read as they are stored."""
    library = sys.modules.get("datasets")  # where it is not loaded there can be none
    return (
        library is not None
        and isinstance(value, library.Dataset)
        and value.format["type"] != "custom"  # that of set_transform: a function of the user's
    )


def is_stream(value: Any) -> bool:
    """A datasets.IterableDataset, or a Dataset whose rows a function makes when they are read."""
    library = sys.modules.get("datasets")
    return (
        library is not None
        and isinstance(value, library.Dataset | library.IterableDataset)
        and not is_table(value)
    )


def _length(documents: Any) -> int | None:
    if isinstance(documents, Sized) and not isinstance(documents, str | bytes | Mapping):
        return len(documents)
    return None


def _plain(label: Any) -> Any:
    """Arrays and tensors, as datasets with a format yield them, as Python numbers and lists."""
    if isinstance(label, np.ndarray | np.generic | Tensor):
        return label.tolist()
    return [_plain(item) for item in label] if isinstance(label, list | tuple) else label
