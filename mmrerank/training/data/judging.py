"""Training data as judged pairs, to measure a model on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrerank.evaluation.data import EvalData, JudgedPair
from mmrerank.evaluation.documents import document_key
from mmrerank.inputs import parse_document
from mmrerank.training.data.reshaping import as_pairs, label_of
from mmrerank.types import Pair

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["judged_pairs"]


def judged_pairs(dataset: Dataset, name: str, *, takes_media: bool = True) -> EvalData:
    """Every query of a dataset with every document that stands beside it, and their labels.

    Raises InputError for data without labels, unless they tell positives from negatives.
    """
    pairs = as_pairs(dataset)
    label = label_of(pairs)
    query_ids: dict[object, str] = {}
    judged: list[JudgedPair] = []
    for index, row in enumerate(pairs):
        where = f"{name}, row {index + 1}"
        query, document = (
            parse_document(row[side], where=f"{where} ({side})", takes_media=takes_media)
            for side in ("query", "document")
        )
        query_id = query_ids.setdefault(document_key(query), f"q{len(query_ids)}")
        pair = Pair(index, query, document)
        judged.append(JudgedPair(query_id, f"d{index}", pair, float(row[label])))
    judgements: dict[str, dict[str, float]] = {}
    for one in judged:
        judgements.setdefault(one.query_id, {})[one.document_id] = one.label
    return EvalData(name, judged, judgements)
