"""Queries and documents, each once, and which belong together."""

from __future__ import annotations

import hashlib
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmrerank.errors import InputError

__all__ = ["Collection", "collect", "key_of"]


@dataclass(frozen=True, slots=True)
class Collection:
    """queries, documents: each once, in the order they first came. positives: for each query the
    places of its documents. query_keys, document_keys: what tells them apart.
    max_positives: rows that the most frequent query has.
    """

    queries: Sequence[Any]
    documents: Sequence[Any]
    positives: Sequence[Sequence[int]]
    query_keys: Sequence[str]
    document_keys: Sequence[str]
    max_positives: int


def collect(queries: Sequence[Any], positives: Sequence[Any], corpus: Iterable[Any]) -> Collection:
    """Sort out rows of (query, positive) and further documents.

    Raises InputError without rows.
    """
    if not queries:
        raise InputError("The dataset is empty. Please provide a non-empty dataset.")
    row_keys = [key_of(query) for query in queries]
    positive_keys = [key_of(document) for document in positives]
    unique_queries = dict(zip(reversed(row_keys), reversed(queries), strict=True))
    query_keys = list(dict.fromkeys(row_keys))
    documents: dict[str, Any] = {}
    for document in corpus:
        documents.setdefault(key_of(document), document)
    for key, document in zip(positive_keys, positives, strict=True):
        documents.setdefault(key, document)
    place = {key: index for index, key in enumerate(documents)}
    belonging: dict[str, dict[int, None]] = {key: {} for key in query_keys}
    for key, positive in zip(row_keys, positive_keys, strict=True):
        belonging[key][place[positive]] = None
    return Collection(
        queries=[unique_queries[key] for key in query_keys],
        documents=list(documents.values()),
        positives=[list(belonging[key]) for key in query_keys],
        query_keys=query_keys,
        document_keys=list(documents),
        max_positives=max(Counter(row_keys).values()),
    )


def key_of(value: Any) -> str:
    """A text is its own key; anything else is known by a hash of its content."""
    if isinstance(value, str):
        return value
    digest = hashlib.sha256()
    _feed(digest, value)
    return f"\0{digest.hexdigest()}"


def _feed(digest: Any, value: Any) -> None:
    from PIL import Image

    # Pictures of equal pixels are equal, from whichever file format they were decoded.
    kind = "picture" if isinstance(value, Image.Image) else type(value).__name__
    digest.update(kind.encode() + b"\0")
    if isinstance(value, Mapping):
        for name in sorted(value):
            _feed(digest, str(name))
            _feed(digest, value[name])
    elif isinstance(value, (list, tuple)):
        for item in value:
            _feed(digest, item)
    elif isinstance(value, Image.Image):
        digest.update(f"{value.mode} {value.size}".encode())
        digest.update(value.tobytes())
    elif isinstance(value, str):
        digest.update(value.encode("utf-8", "surrogatepass"))
    else:
        # Equal content gives equal bytes for what datasets yield: arrays, numbers, bytes, paths.
        digest.update(pickle.dumps(value, protocol=4))
    digest.update(b"\1")
