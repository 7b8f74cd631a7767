"""The optional package `datasets`, imported where data are read and nowhere earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmrerank.errors import MissingExtra

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["dataset_of_columns", "require_datasets"]


def require_datasets() -> Any:
    """The module. Raises MissingExtra where it is absent, or too old for columns of mixed kinds."""
    try:
        import datasets
        from datasets import Json  # noqa: F401  # since 4.7
    except ImportError as error:
        raise MissingExtra(
            "training data need datasets>=4.7: pip install 'mmrerank[train]'"
        ) from error
    return datasets


def dataset_of_columns(columns: Mapping[str, Sequence[Any]]) -> Dataset:
    """Columns of texts, input dicts, numbers, or lists of these, as one Dataset.

    A column that holds an input dict is stored as JSON, so each value comes back as it was put in:
    a struct would add every key that any row has.
    """
    datasets = require_datasets()
    features = {name: _feature(list(values)) for name, values in columns.items()}
    made: Dataset = datasets.Dataset.from_dict(dict(columns), datasets.Features(features))
    return made


def _feature(values: list[Any]) -> Any:
    datasets = require_datasets()
    if any(isinstance(value, list) for value in values):
        return datasets.List(_feature([item for value in values for item in value]))
    if all(isinstance(value, str) for value in values):
        return datasets.Value("string")
    if all(isinstance(value, int) for value in values):
        return datasets.Value("int64")
    if all(isinstance(value, (int, float)) for value in values):
        return datasets.Value("float64")
    return datasets.Json()
