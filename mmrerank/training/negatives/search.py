"""The nearest documents of each query, and the scores that decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from mmrerank.errors import MissingExtra
from mmrerank.training.negatives.collection import Collection
from mmrerank.training.negatives.embedding import worker_pool

__all__ = ["NONE", "Candidates", "nearest", "require_faiss", "rescore"]

NONE = -1  # in the place of a document where there are no more
OUT = -float("inf")


@dataclass(slots=True)
class Candidates:
    """Nearest documents of each query, best first.

    scores: (num_queries, num_candidates) float. places: the same shape, which document; NONE where
    there are no more. positive_scores: (number of (query, positive) pairs,), query by query.
    """

    scores: Tensor
    places: Tensor
    positive_scores: Tensor


def nearest(
    model: Any,
    collection: Collection,
    embeddings: tuple[Any, Any],
    num_candidates: int,
    *,
    chunk_size: int,
    use_faiss: bool,
) -> Candidates:
    """Search by the model's own similarity; by the cosine where it names none, or with faiss.

    embeddings: queries and documents, rows of unit length. chunk_size: queries at a time.
    """
    queries, documents = embeddings
    num_found = min(num_candidates, len(documents))
    find = _by_faiss(documents, num_found) if use_faiss else _by_score(model, documents, num_found)
    scores, places = [], []
    for start in range(0, len(queries), chunk_size):
        found = find(queries[start : start + chunk_size])
        scores.append(found[0])
        places.append(found[1])
    owners = [row for row, own in enumerate(collection.positives) for _ in own]
    own = [place for own in collection.positives for place in own]
    pairwise = getattr(model, "similarity_pairwise", _dot_rows)
    positive_scores = torch.as_tensor(pairwise(queries[owners], documents[own])).cpu()
    return Candidates(
        _widened(torch.cat(scores), num_candidates, OUT),
        _widened(torch.cat(places), num_candidates, NONE),
        positive_scores,
    )


def rescore(
    candidates: Candidates,
    collection: Collection,
    cross_encoder: Any,
    *,
    batch_size: int,
    use_multi_process: list[str] | bool,
) -> None:
    """Put a reranker's scores in the place of similarities; the order stays that of the search."""

    def scores_of(pairs: Sequence[tuple[Any, Any]]) -> Tensor:
        found = cross_encoder.predict(
            pairs, batch_size=batch_size, convert_to_tensor=True, pool=pool
        )
        return torch.as_tensor(found).cpu().to(candidates.scores.dtype)

    with worker_pool(cross_encoder, use_multi_process) as pool:
        for row, query in enumerate(tqdm(collection.queries, desc="Rescoring", disable=None)):
            there = candidates.places[row] != NONE
            places = candidates.places[row][there].tolist()
            candidates.scores[row, there] = scores_of(
                [(query, collection.documents[place]) for place in places]
            )
        candidates.positive_scores = scores_of(
            [
                (query, collection.documents[place])
                for query, own in zip(collection.queries, collection.positives, strict=True)
                for place in own
            ]
        )


def require_faiss() -> Any:
    """The faiss library. Raises MissingExtra where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtra("use_faiss=True needs faiss: pip install faiss-cpu") from error
    return faiss


def _by_faiss(documents: Any, num_found: int) -> Any:
    index = require_faiss().IndexFlatIP(documents.shape[1])
    index.add(documents)

    def find(queries: Any) -> tuple[Tensor, Tensor]:
        scores, places = index.search(queries, k=num_found)
        return torch.from_numpy(scores), torch.from_numpy(places)

    return find


def _by_score(model: Any, documents: Any, num_found: int) -> Any:
    similarity = getattr(model, "similarity", _dot)
    held = torch.as_tensor(documents)

    def find(queries: Any) -> tuple[Tensor, Tensor]:
        scores = torch.as_tensor(similarity(queries, held)).cpu()
        best = torch.topk(scores, k=num_found, dim=1)
        return best.values, best.indices

    return find


def _dot(queries: Any, documents: Any) -> Tensor:
    return torch.as_tensor(queries) @ torch.as_tensor(documents).T


def _dot_rows(queries: Any, documents: Any) -> Tensor:
    return torch.as_tensor(np.einsum("nd,nd->n", queries, documents))


def _widened(values: Tensor, width: int, fill: float) -> Tensor:
    missing = width - values.shape[1]
    return torch.nn.functional.pad(values, (0, missing), value=fill) if missing else values
