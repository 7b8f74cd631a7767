"""The same data in the form that a loss takes: pairs, tuples or lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmrerank.errors import InputError, shorten
from mmrerank.training.data._datasets import dataset_of_columns, require_datasets
from mmrerank.training.data.columns import Form, is_document_column
from mmrerank.training.labels import LABEL_COLUMNS, LabelRule

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["as_lists", "as_loss_wants", "as_pairs", "as_tuples", "form_of", "label_of"]


def form_of(dataset: Dataset) -> Form:
    """ "pairs", "tuples" or "lists", by the names of the columns. Raises InputError."""
    names = dataset.column_names
    if "query" in names and "documents" in names:
        return "lists"
    if "query" in names and "document" in names:
        return "pairs"
    if "query" in names and any(name.startswith("positive") for name in names):
        return "tuples"
    raise InputError(
        f"columns {shorten(names)}: expected query and document, query and positive, "
        "or query and documents"
    )


def as_pairs(dataset: Dataset) -> Dataset:
    """query, document, label: every document of a row by itself, positives 1 and negatives 0."""
    form = form_of(dataset)
    if form == "pairs":
        return dataset
    if form == "tuples":
        kinds = [dataset.features[name] for name in _documents_of(dataset)]
        if all(kind == kinds[0] for kind in kinds):
            return _columns_below_each_other(dataset)
        return as_pairs(as_lists(dataset))
    rows = [
        (row["query"], document, label)
        for row in _rows(dataset)
        for document, label in zip(row["documents"], row[label_of(dataset)], strict=True)
    ]
    queries, documents, labels = zip(*rows, strict=True)
    return dataset_of_columns({"query": queries, "document": documents, "label": labels})


def as_lists(dataset: Dataset) -> Dataset:
    """query, documents, labels: what belongs to equal queries in one row, in order of coming."""
    form = form_of(dataset)
    if form == "lists":
        return dataset
    label = label_of(dataset) if form == "pairs" else ""
    gathered: dict[str, tuple[Any, list[Any], list[Any]]] = {}
    for row in _rows(dataset):
        _, documents, labels = gathered.setdefault(repr(row["query"]), (row["query"], [], []))
        if form == "pairs":
            documents.append(row["document"])
            labels.append(row[label])
        else:
            for name in _documents_of(dataset):
                documents.append(row[name])
                labels.append(1 if name.startswith("positive") else 0)
    queries, documents_of, labels_of = zip(*gathered.values(), strict=True)
    return dataset_of_columns({"query": queries, "documents": documents_of, "labels": labels_of})


def as_tuples(dataset: Dataset, *, num_negatives: int = 1) -> Dataset:
    """query, positive, negative …: one row a positive, with the negatives of its query in turn.

    A label above 0 makes a positive. num_negatives: a query with fewer uses some of them again; one
    without any gives no row.
    Raises InputError where nothing is left.
    """
    if form_of(dataset) == "tuples":
        return dataset
    names = ["negative", *(f"negative_{place}" for place in range(1, num_negatives))]
    columns: dict[str, list[Any]] = {name: [] for name in ("query", "positive", *names)}
    for row in _rows(as_lists(dataset)):
        graded = list(zip(row["documents"], row["labels"], strict=True))
        negatives = [document for document, label in graded if label <= 0]
        place = 0
        for positive in [document for document, label in graded if label > 0] if negatives else ():
            columns["query"].append(row["query"])
            columns["positive"].append(positive)
            for name in names:
                columns[name].append(negatives[place % len(negatives)])
                place += 1
    if not columns["query"]:
        raise InputError("no query has both a document with a label above 0 and one without")
    return dataset_of_columns(columns)


def as_loss_wants(dataset: Dataset, rule: LabelRule, *, num_negatives: int = 1) -> Dataset:
    """The data in the form that a loss with this rule takes; num_negatives as for `as_tuples`."""
    if rule.kind == "list":
        return as_lists(dataset)
    if rule.kind == "none":
        return as_tuples(dataset, num_negatives=num_negatives)
    # Margins belong to a teacher: data that do not hold them cannot be made to.
    return dataset if rule.kind == "margins" else as_pairs(dataset)


def _columns_below_each_other(dataset: Dataset) -> Dataset:
    """Tuples as pairs by whole columns, so that media are neither decoded nor copied."""
    datasets = require_datasets()
    blocks = [
        dataset.select_columns(["query", name])
        .rename_column(name, "document")
        .add_column("label", [1 if name.startswith("positive") else 0] * len(dataset))
        for name in _documents_of(dataset)
    ]
    made: Dataset = datasets.concatenate_datasets(blocks)
    # Documents of one query stand together again: row by row, then column by column.
    order = [
        column * len(dataset) + row for row in range(len(dataset)) for column in range(len(blocks))
    ]
    return made.select(order)


def _documents_of(dataset: Dataset) -> list[str]:
    return [n for n in dataset.column_names if n != "query" and is_document_column(n)]


def label_of(dataset: Dataset) -> str:
    """Name of the column of labels. Raises InputError where there is none."""
    name: str | None = next((name for name in dataset.column_names if name in LABEL_COLUMNS), None)
    if name is None:
        raise InputError(f"columns {shorten(dataset.column_names)}: none of them is a label")
    return name


def _rows(dataset: Dataset) -> Any:
    """Rows with plain values. Raises InputError for columns of decoded media."""
    datasets = require_datasets()
    media = (datasets.Image, datasets.Audio, datasets.Video)
    for name, feature in dataset.features.items():
        inner = feature.feature if isinstance(feature, datasets.List) else feature
        if isinstance(inner, media):
            raise InputError(
                f"column {name!r} holds media, and rows of media are not rearranged; "
                "store the data in the form that the loss takes"
            )
    return dataset
