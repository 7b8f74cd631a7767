"""Labels of another scale, such as 0 to 5 stars, brought to the one that a loss wants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mmrerank.errors import InputError, shorten
from mmrerank.training.label_rows import (
    LABEL_COLUMNS,
    LabelTable,
    is_dict_of_datasets,
    is_stream,
    is_table,
)

__all__ = ["scale_labels"]


def scale_labels(
    dataset: Any,
    to: tuple[float, float] = (0.0, 1.0),
    *,
    of: tuple[float, float] | None = None,
    column: str | None = None,
) -> Any:
    """The dataset with its labels moved from one scale to another along a straight line.

    of: the ends of the scale that labels are on, such as (0, 5); None takes the least and the
        greatest label found, which a stream cannot tell.
    column: None finds the label column as training does. Labels that are lists are scaled item by
        item. The dataset itself is left as it is.
    Raises InputError when there is no label, or nothing to scale by.
    """
    if is_dict_of_datasets(dataset):
        of = of or _range_of([_table(part, column) for part in dataset.values()])
        parts = {
            name: scale_labels(part, to, of=of, column=column) for name, part in dataset.items()
        }
        return type(dataset)(parts)
    table = _table(dataset, column)
    low, high = of or _range_of([table])
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(
            f"scale_labels cannot scale from {low:g} to {high:g}: need two different numbers, the "
            "lower first. Name the ends of the scale, such as of=(0, 5)."
        )
    return _with_labels(dataset, str(table.label), _Line(low, high, *to))


@dataclass(frozen=True, slots=True)
class _Line:
    """low becomes to_low, high becomes to_high."""

    low: float
    high: float
    to_low: float
    to_high: float

    def __call__(self, label: Any) -> Any:
        if isinstance(label, list | tuple):
            return [self(item) for item in label]
        share = (label - self.low) / (self.high - self.low)
        # Not to_low + share · width: that leaves 1.0000000000000002 for the greatest.
        return self.to_low * (1.0 - share) + self.to_high * share


def _table(dataset: Any, column: str | None) -> LabelTable:
    table = LabelTable.of(dataset, [column] if column else LABEL_COLUMNS, name="dataset")
    if table.label is None:
        raise InputError(
            f"scale_labels found no column {column or ' or '.join(LABEL_COLUMNS)}; the columns are "
            f"{shorten(table.inputs)}. Name it: column=..."
        )
    return table


def _range_of(tables: Sequence[LabelTable]) -> tuple[float, float]:
    if any(is_stream(table.dataset) for table in tables):
        raise InputError("scale_labels of a stream needs the ends of the scale, such as of=(0, 5).")
    found = [
        number
        for table in tables
        for row in table.rows(with_num_documents=False)
        for number in _flat(row.label)
    ]
    if not found:
        raise InputError("scale_labels: there are no labels to find the scale of.")
    if not all(math.isfinite(number) for number in found):
        raise InputError("scale_labels: some labels are no finite numbers; drop those rows first.")
    return min(found), max(found)


def _flat(label: Any) -> list[float]:
    if isinstance(label, list):
        return [number for item in label for number in _flat(item)]
    if isinstance(label, bool | int | float):
        return [float(label)]
    raise InputError(f"scale_labels: a label is {shorten(label)}, which is no number.")


def _with_labels(dataset: Any, label: str, line: _Line) -> Any:
    """The same kind of dataset, its columns in the same order."""
    if is_table(dataset):
        rows = LabelTable.of(dataset, [label], name="dataset").rows(with_num_documents=False)
        values = [line(row.label) for row in rows]
        columns = dataset.column_names
        return dataset.remove_columns(label).add_column(label, values).select_columns(columns)
    if is_stream(dataset):
        return dataset.map(partial(_scaled_row, label=label, line=line))
    if isinstance(dataset, Mapping):
        return {**dataset, label: [line(value) for value in dataset[label]]}
    return [_scaled_row(row, label=label, line=line) for row in dataset]


def _scaled_row(row: Mapping[str, Any], *, label: str, line: _Line) -> dict[str, Any]:
    return {**row, label: line(row[label])}
