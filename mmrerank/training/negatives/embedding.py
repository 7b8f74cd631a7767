"""Embeddings of a collection, from a model or from files of an earlier run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmrerank.errors import InputError
from mmrerank.training.negatives.collection import Collection

__all__ = ["EmbeddingOptions", "Side", "embed", "worker_pool"]

logger = logging.getLogger(__name__)

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Side:
    """What is put before queries, or before documents: a prompt, or the name of one."""

    prompt: str | None = None
    prompt_name: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """How the model is called. use_multi_process: True, or devices, for a process each."""

    query: Side
    document: Side
    batch_size: int = 32
    use_multi_process: list[str] | bool = False
    cache_folder: str | Path | None = None
    show_progress_bar: bool = True


def embed(model: Any, collection: Collection, options: EmbeddingOptions) -> tuple[Array, Array]:
    """Rows of unit length: queries (num_queries, dim), documents (num_documents, dim)."""
    with worker_pool(model, options.use_multi_process) as pool:
        documents = _cached(
            "corpus", model, collection.documents, collection.document_keys, options, pool
        )
        queries = _cached("query", model, collection.queries, collection.query_keys, options, pool)
    return queries, documents


@contextmanager
def worker_pool(model: Any, wanted: list[str] | bool) -> Any:
    """The model's processes for the length of a block; None when none are wanted."""
    if not wanted:
        yield None
        return
    pool = model.start_multi_process_pool(
        target_devices=None if isinstance(wanted, bool) else wanted
    )
    try:
        yield pool
    finally:
        model.stop_multi_process_pool(pool)


def _cached(
    name: str,
    model: Any,
    items: Sequence[Any],
    keys: Sequence[str],
    options: EmbeddingOptions,
    pool: Any,
) -> Array:
    side = options.query if name == "query" else options.document
    if options.cache_folder is None:
        return _encode(name, model, items, side, options, pool)
    folder = Path(options.cache_folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The peer's rule, so that its files are found as well.
    card = getattr(model, "model_card_data", None)
    known = (getattr(card, "base_model", None) or "", side.prompt, side.prompt_name, list(keys))
    digest = hashlib.sha256(repr(known).encode("utf-8", "surrogatepass")).hexdigest()
    path = folder / f"{name}_embeddings_{digest}.npy"
    if path.is_file():
        found: Array = np.load(path, allow_pickle=False)
        logger.info("embeddings read from %s, shape %s", path, found.shape)
        return found
    made = _encode(name, model, items, side, options, pool)
    np.save(path, made, allow_pickle=False)
    return made


def _encode(
    name: str, model: Any, items: Sequence[Any], side: Side, options: EmbeddingOptions, pool: Any
) -> Array:
    """encode_query and encode_document where the model has them, else its encode."""
    encode = getattr(model, "encode_query" if name == "query" else "encode_document", None)
    if encode is None:
        return _encode_plainly(model, items, side, options)
    made: Array = encode(
        items,
        pool=pool,
        batch_size=options.batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=options.show_progress_bar,
        prompt_name=side.prompt_name,
        prompt=side.prompt,
    )
    return made


def _encode_plainly(
    model: Any, items: Sequence[Any], side: Side, options: EmbeddingOptions
) -> Array:
    if side.prompt or side.prompt_name:
        raise InputError(
            f"{type(model).__name__} has no encode_query and encode_document, so it takes no "
            "prompts. Put them into its encode."
        )
    batches = [
        np.asarray(model.encode(list(items[at : at + options.batch_size])), dtype=np.float32)
        for at in range(0, len(items), options.batch_size)
    ]
    made = np.concatenate(batches)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    unit: Array = made / np.where(lengths > 0, lengths, 1)
    return unit
