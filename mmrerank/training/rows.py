"""Datasets as the trainer takes them: which kinds, which columns, and which dataset a row is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mmrerank.errors import InputError, WrongArgument, shorten

__all__ = ["check_loss_covers", "name_rows", "read_dataset"]

_RESERVED = frozenset({"return_loss", "dataset_name"})


def read_dataset(dataset: Any, kind: str) -> Any:
    """A Dataset or DatasetDict; a plain dict becomes the latter, None stays.

    kind: "train", "eval" or "test", for messages.
    Raises WrongArgument for other objects and for streams, InputError for a reserved column.
    """
    from datasets import Dataset, DatasetDict

    if dataset is None:
        return None
    is_dict = isinstance(dataset, Mapping)
    for part in dataset.values() if is_dict else [dataset]:
        if not isinstance(part, Dataset):
            raise WrongArgument(_why_not(part, kind))
        if taken := _RESERVED.intersection(part.column_names):
            raise InputError(
                f"{kind}_dataset has columns named {sorted(taken)}: these names are used by the "
                "trainer; rename them with dataset.rename_column."
            )
    return DatasetDict(dataset) if is_dict else dataset


def _why_not(dataset: Any, kind: str) -> str:
    from datasets import IterableDataset

    if isinstance(dataset, IterableDataset):
        return (
            f"{kind}_dataset: CrossEncoderTrainer does not support an IterableDataset, as batches "
            "hold texts and media and not tensors. Make it a Dataset: "
            "Dataset.from_generator(lambda: iter(stream), features=stream.features)."
        )
    return (
        f"{kind}_dataset: give a datasets.Dataset, a DatasetDict or a dict of Datasets, not "
        f"{type(dataset).__name__}; Dataset.from_list and Dataset.from_dict make one."
    )


def name_rows(dataset: Any) -> Any:
    """A DatasetDict whose rows say "dataset_name"; one Dataset stays as it is.

    The user's own datasets are not changed: the name is added to a view of each.
    """
    from datasets import Dataset, DatasetDict

    if dataset is None or isinstance(dataset, Dataset):
        return dataset
    return DatasetDict({name: _named(part, name) for name, part in dataset.items()})


def _named(dataset: Any, name: str) -> Any:
    of_user = dataset.format["format_kwargs"] if dataset.format["type"] == "custom" else {}
    return dataset.with_transform(
        partial(_add_name, dataset_name=name, transform=of_user.get("transform"))
    )


def _add_name(
    columns: dict[str, list[Any]],
    *,
    dataset_name: str,
    transform: Callable[[dict[str, list[Any]]], dict[str, list[Any]]] | None,
) -> dict[str, list[Any]]:
    """At module level: data loading processes may pickle it."""
    if transform is not None:
        columns = transform(columns)
    num_rows = len(next(iter(columns.values()), []))
    return {**columns, "dataset_name": [dataset_name] * num_rows} if num_rows else columns


def check_loss_covers(names: Mapping[str, Any], dataset: Any, kind: str) -> None:
    """Raise InputError unless there is a loss for every dataset.

    names: losses by name of the dataset.
    """
    if dataset is None:
        return
    if not isinstance(dataset, Mapping):
        raise InputError(
            f"loss is a dict, so {kind}_dataset must be one too (a DatasetDict): the names say "
            "which loss is for which dataset."
        )
    if missing := sorted(set(dataset) - set(names)):
        raise InputError(
            f"{kind}_dataset has {shorten(missing)} and loss has {shorten(sorted(names))}: "
            "give a loss for every dataset."
        )
