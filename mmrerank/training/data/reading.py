"""Training data by the name of a file or folder."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmrerank.errors import InputError, shorten
from mmrerank.training.data._datasets import dataset_of_columns, require_datasets
from mmrerank.training.data.columns import Reader, columns_of_rows, is_document_column
from mmrerank.training.data.documents import plain_document
from mmrerank.training.data.lines import rows_of_csv, rows_of_jsonl

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["read_training_data"]

_SUFFIXES = (".jsonl", ".csv", ".parquet")
_STEMS = ("train", "metadata", "data")


def read_training_data(path: str | os.PathLike[str], *, takes_media: bool = True) -> Dataset:
    """Queries, documents and labels of a .jsonl, .csv or .parquet file, or of a folder.

    Rows have one of three forms, the same in the whole file:
    {"query", "document", "label"}; {"query", "positive", "negative"}, with further negatives as
    negative_1 …; {"query", "documents": [...], "labels": [...]}. Lists under positive and negative
    give the third form, with labels 1 and 0.
    Queries and documents are all that CrossEncoder.predict takes and JSON can hold: texts, paths,
    URLs, input dicts. Relative paths start from the file's folder; nothing is opened here.
    A folder is one of `Dataset.save_to_disk`, or holds train.jsonl, .csv or .parquet (or
    metadata.jsonl). Columns of media in a Parquet file or saved dataset are
    handed on undecoded, as {"bytes", "path"}.

    Raises InputError with file and line, MissingExtra where `datasets` is not installed.
    """
    source = Path(path)
    if source.is_dir():
        if (source / "state.json").exists():
            return _load_saved(source)
        source = _file_in(source)
    folder = source.absolute().parent
    read = partial(_read, folder=folder, takes_media=takes_media)
    suffix = source.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return dataset_of_columns(columns_of_rows(_some(rows_of_jsonl(source), source), read))
    if suffix == ".csv":
        return dataset_of_columns(columns_of_rows(_some(rows_of_csv(source), source), read))
    if suffix == ".parquet":
        return _read_parquet(source, folder, takes_media)
    raise InputError(f"{source}: expected a file ending in {', '.join(_SUFFIXES)}, or a folder")


def _read(value: Any, where: str, *, folder: Path, takes_media: bool) -> Any:
    return plain_document(value, folder=folder, where=where, takes_media=takes_media)


def _some(rows: list[Any], source: Path) -> list[Any]:
    if not rows:
        raise InputError(f"{source}: the file holds no rows")
    return rows


def _file_in(folder: Path) -> Path:
    names = [f"{stem}{suffix}" for stem in _STEMS for suffix in _SUFFIXES]
    found = [folder / name for name in names if (folder / name).exists()]
    if not found:
        raise InputError(
            f"{folder}: neither a saved dataset (state.json) nor a folder with "
            f"{', '.join(names[: len(_SUFFIXES)])} or metadata.jsonl"
        )
    return found[0]


def _load_saved(folder: Path) -> Dataset:
    dataset: Dataset = require_datasets().load_from_disk(str(folder))
    return _checked(dataset, folder)


def _read_parquet(source: Path, folder: Path, takes_media: bool) -> Dataset:
    datasets = require_datasets()
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(source)
    except (OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{source}: cannot be read as Parquet: {error}") from error
    dataset = _checked(datasets.Dataset(table), source)
    read = partial(_read, folder=folder, takes_media=takes_media)
    columns = {
        name: [
            _cell(value, f"{source}, row {row}, {name}", read)
            for row, value in enumerate(dataset[name], start=1)
        ]
        for name, feature in dataset.features.items()
        if is_document_column(name) and _is_text(feature)
    }
    kept = [name for name in dataset.column_names if name not in columns]
    parts = [dataset_of_columns(columns)] if columns else []
    parts += [dataset.select_columns(kept)] if kept else []
    joined: Dataset = datasets.concatenate_datasets(parts, axis=1)
    return joined.select_columns(dataset.column_names)


def _cell(value: Any, where: str, read: Reader) -> Any:
    if isinstance(value, list):
        return [read(item, f"{where}[{index}]") for index, item in enumerate(value)]
    return read(value, where)


def _is_text(feature: Any) -> bool:
    datasets = require_datasets()
    inner = feature.feature if isinstance(feature, datasets.List) else feature
    return isinstance(inner, datasets.Value) and inner.dtype in ("string", "large_string")


def _checked(dataset: Dataset, source: Path) -> Dataset:
    """The dataset with its media undecoded. Raises InputError without columns that we know."""
    if "query" not in dataset.column_names or len(dataset) == 0:
        raise InputError(
            f"{source}: {len(dataset)} rows with the columns {shorten(dataset.column_names)}; "
            "expected a column 'query' and others, see read_training_data"
        )
    for name, feature in dataset.features.items():
        if (plain := _undecoded(feature)) is not None:
            dataset = dataset.cast_column(name, plain)
    return dataset


def _undecoded(feature: Any) -> Any:
    """A feature of media that hands out bytes or a path; None for every other feature.

    So media are opened under the policy of the model, decoded no larger than it needs, and a file
    that is broken is an error of its row alone.
    """
    datasets = require_datasets()
    if isinstance(feature, datasets.List):
        inner = _undecoded(feature.feature)
        return None if inner is None else datasets.List(inner)
    if isinstance(feature, (datasets.Image, datasets.Audio, datasets.Video)):
        return replace(feature, decode=False)
    return None
