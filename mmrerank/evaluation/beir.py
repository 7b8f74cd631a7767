"""A folder in BEIR's layout → EvalData: corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mmrerank.errors import InputError, shorten
from mmrerank.evaluation.data import EvalData, JudgedPair, json_lines
from mmrerank.evaluation.trec import read_qrels, read_run
from mmrerank.inputs import parse_document
from mmrerank.inputs.relative import rebase
from mmrerank.types import MODALITIES, Document, Pair

__all__ = ["Candidates", "read_beir"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Which documents are scored for a query.

    run: a TREC run file, of which the first `num_documents` are taken. Without one, those that are
    judged, and others drawn from the corpus up to that number; always the same for one seed.
    """

    run: Path | None = None
    num_documents: int = 100
    seed: int = 0


def read_beir(
    folder: str | Path,
    *,
    split: str = "test",
    candidates: Candidates | None = None,
    takes_media: bool = True,
    limit: int | None = None,
) -> EvalData:
    """Judged pairs of a BEIR folder. limit: how many queries are taken.

    A title stands before the text of its document. Rows may hold media ("image", "audio", "video"),
    whose relative paths start from the folder.
    Raises InputError for a file that is missing or wrong, and an id that leads nowhere.
    """
    folder, candidates = Path(folder), candidates or Candidates()
    judgements = _with_matches(read_qrels(folder / "qrels" / f"{split}.tsv"))
    judgements = dict(islice(judgements.items(), limit))
    first_stage: dict[str, list[str]] = {}
    if candidates.run is not None:
        ranked = read_run(candidates.run)
        first_stage = {
            query: ranked.get(query, [])[: candidates.num_documents] for query in judgements
        }
        chosen = first_stage
        notes = [_run_note(candidates, judgements, chosen)]
    else:
        chosen = _sampled(judgements, _ids(folder / "corpus.jsonl"), candidates)
        notes = [
            f"No run file was given: each query's judged documents and others drawn at random, "
            f"{candidates.num_documents} in all, were scored. That is easier than reranking what a "
            "search has found; such numbers do not compare with published ones."
        ]
    rows = _Rows(folder, takes_media)
    queries = rows.read("queries.jsonl", judgements.keys())
    corpus = rows.read("corpus.jsonl", {one for ids in chosen.values() for one in ids})
    pairs = [
        (query, document, judgements[query].get(document, 0.0))
        for query, documents in chosen.items()
        for document in documents
    ]
    judged = [
        JudgedPair(query, document, Pair(index, queries[query], corpus[document]), label)
        for index, (query, document, label) in enumerate(pairs)
    ]
    return EvalData(folder.absolute().name, judged, judgements, first_stage, notes)


def _with_matches(judgements: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Queries with a relevant document; of the others no ranking is better than another."""
    return {query: grades for query, grades in judgements.items() if max(grades.values()) > 0}


def _run_note(
    candidates: Candidates,
    judgements: Mapping[str, Mapping[str, float]],
    chosen: Mapping[str, Collection[str]],
) -> str:
    relevant = [(q, d) for q, grades in judgements.items() for d, grade in grades.items() if grade]
    num_found = sum(document in chosen[query] for query, document in relevant)
    return (
        f"The first {candidates.num_documents} documents of the run were reranked; it holds "
        f"{num_found:,} of {len(relevant):,} relevant documents, the others count as not found."
    )


def _sampled(
    judgements: Mapping[str, Mapping[str, float]], ids: list[str], candidates: Candidates
) -> dict[str, list[str]]:
    drawn = random.Random(candidates.seed)
    chosen = {}
    for query, grades in judgements.items():
        num_others = max(0, candidates.num_documents - len(grades))
        others = drawn.sample(ids, min(len(ids), num_others + len(grades)))
        documents = [*grades, *(one for one in others if one not in grades)]
        documents = documents[: max(candidates.num_documents, len(grades))]
        drawn.shuffle(documents)  # equal scores must not favour the judged ones
        chosen[query] = documents
    return chosen


def _ids(path: Path) -> list[str]:
    return [str(_id(row, where)) for where, row in json_lines(path)]


def _id(row: Mapping[str, Any], where: str) -> str:
    if "_id" not in row:
        raise InputError(f"{where}: the key '_id' is missing; it has {shorten(list(row))}.")
    return str(row["_id"])


@dataclass(frozen=True, slots=True)
class _Rows:
    """Reads documents of the folder's JSONL files; only those wanted are kept in memory."""

    folder: Path
    takes_media: bool

    def read(self, name: str, wanted: Collection[str]) -> dict[str, Document]:
        """Document by id. Raises InputError where one is missing."""
        found: dict[str, Document] = {}
        for where, row in json_lines(self.folder / name):
            key = _id(row, where)
            if key in wanted:
                found[key] = self._document(row, where)
        if missing := [key for key in wanted if key not in found]:
            raise InputError(
                f"{self.folder / name}: {len(missing):,} ids that are judged or ranked are not "
                f"there, such as {shorten(missing[0])}."
            )
        return found

    def _document(self, row: Mapping[str, Any], where: str) -> Document:
        parts = {key: row[key] for key in MODALITIES if row.get(key) not in (None, "")}
        text = " ".join(str(row[key]) for key in ("title", "text") if row.get(key))
        if text or not parts:
            parts = {"text": text, **{key: parts[key] for key in parts if key != "text"}}
        parsed = parse_document(parts, where=where, takes_media=self.takes_media)
        return rebase(parsed, self.folder.absolute())
