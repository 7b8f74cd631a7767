"""Where NanoBEIR's tables come from: tables given, files of a folder, or the hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mmrerank.errors import InputError, shorten
from mmrerank.extras import require
from mmrerank.types import MODALITIES

__all__ = ["NAMES", "Source", "read_samples", "shown_source"]

# A folder, a hub id, or the tables themselves: source["corpus"]["NanoMSMARCO"] gives rows.
Source: TypeAlias = str | Path | Mapping[str, Mapping[str, Iterable[Mapping[str, Any]]]]

NAMES: Mapping[str, str] = {
    "climatefever": "ClimateFEVER",
    "dbpedia": "DBPedia",
    "fever": "FEVER",
    "fiqa2018": "FiQA2018",
    "hotpotqa": "HotpotQA",
    "msmarco": "MSMARCO",
    "nfcorpus": "NFCorpus",
    "nq": "NQ",
    "quoraretrieval": "QuoraRetrieval",
    "scidocs": "SCIDOCS",
    "arguana": "ArguAna",
    "scifact": "SciFact",
    "touche2020": "Touche2020",
}
_READERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
_COLUMNS = {
    "corpus": ("_id",),
    "queries": ("_id",),
    "qrels": ("query-id", "corpus-id"),
    "bm25": ("query-id", "corpus-ids"),
}


def shown_source(source: Source) -> str:
    """The source as a model card names it."""
    return str(source) if isinstance(source, (str, Path)) else "given tables"


def read_samples(source: Source, name: str, rerank_k: int) -> list[dict[str, Any]]:
    """Samples for CrossEncoderRerankingEvaluator of one dataset, by its name in NAMES.

    rerank_k: how many of the first stage's documents are kept. Raises InputError where a table or
    a column is missing, or an id leads nowhere.
    """
    split = f"Nano{NAMES[name.lower()]}"
    tables = {subset: _table(source, subset, split) for subset in _COLUMNS}
    corpus = {row["_id"]: _document(row) for row in tables["corpus"]}
    queries = {row["_id"]: _document(row) for row in tables["queries"]}
    # Dicts keep the order of the file; in a set that of texts differs from run to run.
    relevant: dict[Any, dict[Any, None]] = {}
    for row in tables["qrels"]:
        ids = row["corpus-id"] if isinstance(row["corpus-id"], list) else [row["corpus-id"]]
        relevant.setdefault(row["query-id"], {}).update(dict.fromkeys(ids))
    where = f"{shown_source(source)}, {split}"
    return [
        {
            "query": _get(queries, row["query-id"], "query", where),
            "positive": [
                _get(corpus, one, "document", where) for one in relevant.get(row["query-id"], {})
            ],
            "documents": [
                _get(corpus, one, "document", where) for one in row["corpus-ids"][:rerank_k]
            ],
        }
        for row in tables["bm25"]
    ]


def _document(row: Mapping[str, Any]) -> Any:
    """The text of a row; a dict of what there is where it holds media too."""
    parts = {name: row[name] for name in MODALITIES if row.get(name) is not None}
    return parts["text"] if set(parts) == {"text"} else parts


def _get(table: Mapping[Any, Any], key: Any, kind: str, where: str) -> Any:
    if key not in table:
        raise InputError(f"{where}: there is no {kind} with the id {shorten(key)}.")
    return table[key]


# ------------------------------------------------------------ tables


def _table(source: Source, subset: str, split: str) -> list[Mapping[str, Any]]:
    rows = list(_rows(source, subset, split))
    missing = sorted(set(_COLUMNS[subset]) - set(rows[0])) if rows else list(_COLUMNS[subset])
    if missing:
        raise InputError(
            f"{shown_source(source)}: subset {subset!r}, split {split!r} has no column {missing}."
        )
    return rows


def _rows(source: Source, subset: str, split: str) -> Iterable[Mapping[str, Any]]:
    if isinstance(source, Mapping):
        if split not in source.get(subset, {}):
            raise InputError(f"the given tables have no [{subset!r}][{split!r}].")
        return source[subset][split]
    datasets = require("datasets", to="read NanoBEIR")
    try:
        if files := _files(source, subset, split):
            reader = _READERS[files[0].suffix]
            names = [str(file) for file in files]
            table = datasets.load_dataset(reader, data_files=names, split="train")
        else:
            table = datasets.load_dataset(str(source), subset, split=split)
    except Exception as error:  # every kind of file, network and format has errors of its own
        raise InputError(
            f"Could not load subset {subset!r} split {split!r} from dataset "
            f"{shorten(str(source))}: {error}. A folder holds {subset}/{split}.jsonl or "
            f"{subset}/{split}-*.parquet; without a network give such a folder as dataset_id."
        ) from error
    rows: Iterable[Mapping[str, Any]] = table
    return rows


def _files(source: str | Path, subset: str, split: str) -> list[Path]:
    """corpus/NanoMSMARCO.jsonl, corpus/NanoMSMARCO-00000-of-00001.parquet, … of a local folder."""
    found = sorted((Path(source) / subset).glob(f"{split}[-.]*"))
    files = [file for file in found if file.suffix in _READERS]
    return [file for file in files if file.suffix == files[0].suffix]
