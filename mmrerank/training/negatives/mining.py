"""`mine_hard_negatives`, with the peer's arguments and results."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmrerank.errors import InputError, shorten
from mmrerank.extras import require
from mmrerank.training.data._datasets import dataset_of_columns
from mmrerank.training.negatives.choosing import choose, strike_out
from mmrerank.training.negatives.collection import Collection, collect
from mmrerank.training.negatives.embedding import EmbeddingOptions, Side, embed
from mmrerank.training.negatives.options import (
    Limits,
    OutputFormat,
    SamplingStrategy,
    checked_format,
)
from mmrerank.training.negatives.rows import columns_of
from mmrerank.training.negatives.search import Candidates, nearest, require_faiss, rescore

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["mine_hard_negatives"]

logger = logging.getLogger(__name__)


def mine_hard_negatives(
    dataset: Dataset,
    model: Any,
    anchor_column_name: str | None = None,
    positive_column_name: str | None = None,
    corpus: Sequence[Any] | None = None,
    cross_encoder: Any = None,
    range_min: int = 0,
    range_max: int | None = None,
    max_score: float | None = None,
    min_score: float | None = None,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
    num_negatives: int = 3,
    sampling_strategy: SamplingStrategy = "top",
    query_prompt_name: str | None = None,
    query_prompt: str | None = None,
    corpus_prompt_name: str | None = None,
    corpus_prompt: str | None = None,
    include_positives: bool = False,
    output_format: OutputFormat = "triplet",
    output_scores: bool = False,
    batch_size: int = 32,
    faiss_batch_size: int = 16384,
    use_faiss: bool = False,
    use_multi_process: list[str] | bool = False,
    verbose: bool = True,
    cache_folder: str | Path | None = None,
    as_triplets: bool | None = None,
    margin: float | None = None,
) -> Dataset:
    """Add documents that are near a query, and not its positives, to (query, positive) rows.

    dataset: the first two columns, or the named ones, hold queries and positives; rows of one query
    are all its positives. Documents may be anything that `model` embeds, media too. model: with
    encode_query and encode_document, as a SentenceTransformer, or with encode alone. corpus: more
    documents to choose from. cross_encoder: scores the candidates anew where a score or a margin
    decides. range_min, range_max: ranks to look at. max_score, min_score, absolute_margin,
    relative_margin: which scores a negative may have, and how far below the weakest positive.
    output_format: "triplet" (query, positive, negative), "n-tuple" (… negative_1, negative_2),
    "labeled-pair" (query, document, label) or "labeled-list" (query, documents, labels), with
    scores beside or instead of labels where output_scores is set. cache_folder: keeps embeddings.
    verbose: log what was found. as_triplets and margin are the older names of output_format and
    absolute_margin.

    Returns a datasets.Dataset. Raises InputError for an empty dataset or limits that leave nothing.
    """
    require("datasets", to="mine hard negatives")
    output_format, output_scores = checked_format(
        output_format, output_scores, as_triplets, include_positives
    )
    if faiss_batch_size <= 0:
        raise InputError(f"faiss_batch_size must be a positive integer, got {faiss_batch_size}.")
    if use_faiss:
        require_faiss()
    if margin is not None:
        logger.warning("margin is deprecated; use absolute_margin=%s.", margin)
        absolute_margin = margin
    names = _column_names(dataset, anchor_column_name, positive_column_name)
    queries, positives = (list(dataset[name]) for name in names)
    collection = collect(queries, positives, corpus or ())
    limits = _limits(
        collection.max_positives,
        range_max,
        has_reranker=cross_encoder is not None,
        range_min=range_min,
        max_score=max_score,
        min_score=min_score,
        absolute_margin=absolute_margin,
        relative_margin=relative_margin,
        num_negatives=num_negatives,
        sampling_strategy=sampling_strategy,
    )
    options = EmbeddingOptions(
        Side(query_prompt, query_prompt_name),
        Side(corpus_prompt, corpus_prompt_name),
        batch_size,
        use_multi_process,
        cache_folder,
    )
    candidates = nearest(
        model,
        collection,
        embed(model, collection, options),
        limits.range_max + collection.max_positives,
        chunk_size=faiss_batch_size,
        use_faiss=use_faiss,
    )
    if cross_encoder is not None and limits.look_at_scores:
        rescore(
            candidates,
            collection,
            cross_encoder,
            batch_size=batch_size,
            use_multi_process=use_multi_process,
        )
    struck = strike_out(
        candidates, collection.positives, limits, include_positives=include_positives
    )
    columns = columns_of(
        collection,
        choose(candidates, limits),
        candidates.positive_scores.tolist(),
        output_format,
        names,
        with_scores=output_scores,
    )
    if verbose:
        _report(collection, candidates, struck, columns, limits)
    return _as_dataset(columns, dataset.features, names)


def _as_dataset(
    columns: Mapping[str, list[Any]], features: Mapping[str, Any], names: tuple[str, str]
) -> Any:
    """Queries and documents in the form that they had: decoded media need to be told of it."""
    import datasets

    if all(type(features[name]) in (datasets.Value, datasets.Json) for name in names):
        return dataset_of_columns(columns)
    known: dict[str, Any] = {"score": datasets.Value("float64"), "label": datasets.Value("int64")}
    known |= {f"{name}s": datasets.List(value) for name, value in known.items()}
    query, document = (features[name] for name in names)
    is_list = "labels" in columns or (names[1] in columns and _holds_lists(columns[names[1]]))
    kinds = {name: query if name == names[0] else known.get(name, document) for name in columns}
    kinds[names[1]] = datasets.List(document) if is_list else document
    return datasets.Dataset.from_dict(dict(columns), datasets.Features(kinds))


def _holds_lists(values: list[Any]) -> bool:
    return bool(values) and isinstance(values[0], list)


def _column_names(dataset: Any, anchor: str | None, positive: str | None) -> tuple[str, str]:
    """The named columns where they exist, else the first and the second one; the peer's rule."""
    columns = list(dataset.column_names)
    if len(dataset) == 0:
        raise InputError("The dataset is empty. Please provide a non-empty dataset.")
    query_name = anchor if anchor in columns else columns[0]
    if positive in columns:
        return str(query_name), str(positive)
    if len(columns) < 2:
        raise InputError(
            f"the dataset has one column, {shorten(columns[0])}: queries and positives are needed"
        )
    return str(query_name), columns[1]


def _limits(
    max_positives: int, range_max: int | None, *, has_reranker: bool, **given: Any
) -> Limits:
    """Limits with the peer's rule for how far to look: further where some will be struck out."""
    if given["num_negatives"] < 1:
        raise InputError(f"num_negatives must be at least 1, got {given['num_negatives']}.")
    if range_max is None:
        deciding = ("absolute_margin", "relative_margin", "max_score")
        strikes = any(given[name] is not None for name in deciding) or (
            has_reranker and given["min_score"] is not None
        )
        spare = 10 if strikes else 1
        range_max = given["range_min"] + given["num_negatives"] * spare + max_positives
    return Limits(range_max=range_max, **given)


def _report(
    collection: Collection,
    candidates: Candidates,
    struck: Mapping[str, int],
    columns: Mapping[str, list[Any]],
    limits: Limits,
) -> None:
    num_rows = len(next(iter(columns.values())))
    left = candidates.scores[candidates.scores.isfinite()]
    logger.info(
        "%d queries, %d documents, %d rows mined; mean score of positives %.4f, of candidates %.4f",
        len(collection.queries),
        len(collection.documents),
        num_rows,
        float(candidates.positive_scores.float().mean()),
        float(left.mean()) if left.numel() else float("nan"),
    )
    for name, count in struck.items():
        logger.info("%d candidates struck out by %s=%s", count, name, getattr(limits, name))
    num_left = (candidates.scores.isfinite()).sum(1)
    num_short = int((num_left < limits.range_min + limits.num_negatives).sum())
    if num_short:
        logger.warning(
            "%d of %d queries have fewer than %d negatives. Widen range_max or the margins.",
            num_short,
            len(collection.queries),
            limits.num_negatives,
        )
