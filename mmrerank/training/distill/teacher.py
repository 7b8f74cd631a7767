"""A teacher's logits for every pair of a data set, asked for once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from mmrerank.errors import InputError
from mmrerank.inputs import parse_document
from mmrerank.inputs.relative import is_path
from mmrerank.training.data import form_of
from mmrerank.training.data._datasets import dataset_of_columns
from mmrerank.training.distill.cache import ScoreCache
from mmrerank.training.negatives.collection import key_of
from mmrerank.types import Document, Text

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["query_lists", "scored_by_teacher", "teacher_fingerprint"]

# Numbers that are looked at of each weight: all of a large model would take minutes to hash.
_NUM_SAMPLED = 1024


@dataclass(frozen=True, slots=True)
class _Row:
    query: Any
    documents: list[Any]
    keys: list[str]


def scored_by_teacher(
    teacher: Any,
    dataset: Dataset,
    cache: ScoreCache,
    *,
    prompt: str | None = None,
    batch_size: int = 32,
    chunk_size: int = 256,
) -> Dataset:
    """Rows (query, documents, labels), the labels being the teacher's logits.

    dataset: as `read_training_data` gives it; its own labels are not looked at. cache: what is in
    it is not computed again. chunk_size: pairs that a kill may lose.
    Raises InputError for a teacher of several labels.
    """
    if teacher.num_labels != 1:
        raise InputError(f"a teacher gives one score a pair; this one has {teacher.num_labels}")
    mark = f"{teacher_fingerprint(teacher)}\0{prompt or ''}"
    rows = [_keyed(query, documents, mark) for query, documents in query_lists(dataset)]
    missing = {
        key: (row.query, document)
        for row in rows
        for key, document in zip(row.keys, row.documents, strict=True)
        if key not in cache
    }
    with tqdm(total=len(missing), desc="Teacher", disable=None, leave=False) as progress:
        for chunk in _chunks(missing, chunk_size):
            logits = teacher.predict(
                list(chunk.values()),
                prompt=prompt,
                batch_size=batch_size,
                activation_fn=torch.nn.Identity(),
                show_progress_bar=False,
            )
            cache.put(dict(zip(chunk, map(float, logits), strict=True)))
            progress.update(len(chunk))
    return dataset_of_columns(
        {
            "query": [row.query for row in rows],
            "documents": [row.documents for row in rows],
            "labels": [[cache.get(key) for key in row.keys] for row in rows],
        }
    )


def query_lists(dataset: Dataset) -> Iterator[tuple[Any, list[Any]]]:
    """Each query with its documents, the positives first; rows of an equal query are one."""
    form = form_of(dataset)
    found: dict[str, tuple[Any, dict[str, Any]]] = {}
    for row in dataset:
        _, documents = found.setdefault(key_of(row["query"]), (row["query"], {}))
        for document in _documents_of(row, form):
            documents.setdefault(key_of(document), document)
    for query, documents in found.values():
        yield query, list(documents.values())


def teacher_fingerprint(model: Any) -> str:
    """Names a model by what its scores depend on: weights, sampled evenly, and how it prompts."""
    digest = hashlib.sha256(repr(_decisions(model)).encode("utf-8", "surrogatepass"))
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        flat = tensor.detach().flatten()
        step = max(1, len(flat) // _NUM_SAMPLED)
        digest.update(flat[::step].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _decisions(model: Any) -> Any:
    spec = model.pipeline.spec
    return (spec.template, spec.head, spec.budget, spec.truncation, model.max_seq_length)


def _documents_of(row: Mapping[str, Any], form: str) -> list[Any]:
    if form == "lists":
        return list(row["documents"])
    if form == "pairs":
        return [row["document"]]
    names = sorted(row, key=lambda name: not name.startswith("positive"))
    return [
        document
        for name in names
        if name.startswith(("positive", "negative"))
        for document in (row[name] if isinstance(row[name], list) else [row[name]])
    ]


def _keyed(query: Any, documents: list[Any], mark: str) -> _Row:
    own = _content_key(query)
    keys = [
        hashlib.sha256(
            "\0".join((mark, own, _content_key(document))).encode("utf-8", "surrogatepass")
        ).hexdigest()
        for document in documents
    ]
    return _Row(query, documents, keys)


def _content_key(value: Any) -> str:
    """By content, also of files: a picture that was replaced is another document."""
    if isinstance(value, str):
        return value
    document: Document = parse_document(value, where="data", takes_media=True)
    return key_of([_part_key(part) for part in document])


def _part_key(part: Any) -> Sequence[Any]:
    if isinstance(part, Text):
        return ["text", part.text]
    source = part.source
    settings = [part.modality, repr(getattr(part, "page", None))]
    if is_path(source):
        path = Path(source)
        if path.is_file():
            return [*settings, hashlib.sha256(path.read_bytes()).hexdigest()]
        return [*settings, str(path)]
    return [*settings, source]


def _chunks(pairs: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    keys = list(pairs)
    for start in range(0, len(keys), size):
        yield {key: pairs[key] for key in keys[start : start + size]}
