"""The rows of the mined data set, in the four forms that losses take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmrerank.training.negatives.choosing import Chosen
from mmrerank.training.negatives.collection import Collection
from mmrerank.training.negatives.options import OutputFormat
from mmrerank.training.negatives.search import OUT

__all__ = ["columns_of"]

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class _Found:
    """One query with its positives and negatives, each a (document, score)."""

    query: Any
    positives: list[tuple[Any, float]]
    negatives: list[tuple[Any, float]]


def columns_of(
    collection: Collection,
    chosen: Chosen,
    positive_scores: list[float],
    output_format: OutputFormat,
    names: tuple[str, str],
    *,
    with_scores: bool,
) -> Columns:
    """Columns by name. names: those of queries and of positives."""
    num_negatives = chosen.scores.shape[1]
    found = list(_found(collection, chosen, positive_scores))
    if output_format == "triplet":
        return _triplets(found, names, with_scores)
    if output_format == "n-tuple":
        return _tuples(found, names, with_scores, num_negatives)
    if output_format == "labeled-pair":
        return _pairs(found, names, with_scores)
    return _lists(found, names, with_scores)


def _found(
    collection: Collection, chosen: Chosen, positive_scores: list[float]
) -> Iterator[_Found]:
    scores = iter(positive_scores)
    rows = zip(chosen.places.tolist(), chosen.scores.tolist(), strict=True)
    for query, own, (places, values) in zip(
        collection.queries, collection.positives, rows, strict=True
    ):
        yield _Found(
            query,
            [(collection.documents[place], next(scores)) for place in own],
            [
                (collection.documents[place], score)
                for place, score in zip(places, values, strict=True)
                if score != OUT
            ],
        )


def _triplets(found: list[_Found], names: tuple[str, str], with_scores: bool) -> Columns:
    columns: Columns = {names[0]: [], names[1]: [], "negative": []}
    scores: list[Any] = []
    for item in found:
        for positive, positive_score in item.positives:
            for negative, score in item.negatives:
                columns[names[0]].append(item.query)
                columns[names[1]].append(positive)
                columns["negative"].append(negative)
                scores.append([positive_score, score])
    return {**columns, "scores": scores} if with_scores else columns


def _tuples(
    found: list[_Found], names: tuple[str, str], with_scores: bool, num_negatives: int
) -> Columns:
    """Only rows that have all their negatives: a column cannot hold a hole."""
    columns: Columns = {names[0]: [], names[1]: []}
    columns |= {f"negative_{number}": [] for number in range(1, num_negatives + 1)}
    scores: list[Any] = []
    for item in found:
        if len(item.negatives) < num_negatives:
            continue
        for positive, positive_score in item.positives:
            columns[names[0]].append(item.query)
            columns[names[1]].append(positive)
            for number, (negative, _) in enumerate(item.negatives, start=1):
                columns[f"negative_{number}"].append(negative)
            scores.append([positive_score, *(score for _, score in item.negatives)])
    return {**columns, "scores": scores} if with_scores else columns


def _pairs(found: list[_Found], names: tuple[str, str], with_scores: bool) -> Columns:
    last = "score" if with_scores else "label"
    columns: Columns = {names[0]: [], names[1]: [], last: []}
    for item in found:
        labelled = [(*entry, 1) for entry in item.positives]
        labelled += [(*entry, 0) for entry in item.negatives]
        for document, score, label in labelled:
            columns[names[0]].append(item.query)
            columns[names[1]].append(document)
            columns[last].append(score if with_scores else label)
    return columns


def _lists(found: list[_Found], names: tuple[str, str], with_scores: bool) -> Columns:
    last = "scores" if with_scores else "labels"
    columns: Columns = {names[0]: [], names[1]: [], last: []}
    for item in found:
        if not item.negatives:
            continue
        for positive in item.positives:
            entries = [positive, *item.negatives]
            columns[names[0]].append(item.query)
            columns[names[1]].append([document for document, _ in entries])
            scores = [score for _, score in entries]
            columns[last].append(scores if with_scores else [1] + [0] * len(item.negatives))
    return columns
