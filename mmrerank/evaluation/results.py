"""What was measured, as plain values for a file and as a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from mmrerank.errors import InputError
from mmrerank.evaluation.data import EvalData
from mmrerank.evaluation.measure import Measured
from mmrerank.evaluation.report import EvalReport, ScoredExample, Table
from mmrerank.inputs.modality import is_data_uri, scheme_of, shown_url
from mmrerank.types import Document, Text

__all__ = ["as_dict", "report_of", "shown_document", "write_json", "write_scores"]

_NUM_EXAMPLES = 6  # of each kind


def as_dict(model_name: str, data: EvalData, measured: Measured) -> dict[str, Any]:
    """The results, fit for JSON."""
    return {
        "model": model_name,
        "data": data.name,
        "num_queries": len({judged.query_id for judged in data.pairs}),
        "num_pairs": len(data.pairs),
        "primary_metric": measured.primary,
        "metrics": dict(measured.metrics),
        "before": dict(measured.before),
        "notes": [*data.notes, *measured.notes],
    }


def report_of(
    model_name: str,
    data: EvalData,
    measured: Measured,
    scores: Any,
    *,
    log_history: Sequence[Mapping[str, Any]] = (),
) -> EvalReport:
    """The page of an evaluation. scores: as `measure` took them."""
    results = as_dict(model_name, data, measured)
    scores = np.asarray(scores)
    is_one_a_pair = scores.ndim == 1 or scores.shape[1] == 1
    one_each = scores.reshape(len(data.pairs)) if is_one_a_pair else np.zeros(0)
    return EvalReport(
        title=f"{Path(model_name).name} on {data.name}",
        facts={
            "Model": model_name,
            "Data": data.name,
            "Queries": f"{results['num_queries']:,}",
            "Pairs": f"{results['num_pairs']:,}",
        },
        headline=(measured.primary, measured.metrics[measured.primary]),
        tables=_tables(measured),
        scores=one_each.tolist(),
        labels=data.labels if is_one_a_pair else (),
        ndcg=measured.ndcg,
        log_history=log_history,
        examples=_examples(data, one_each) if is_one_a_pair else (),
        notes=results["notes"],
    )


def _tables(measured: Measured) -> list[Table]:
    ranking = {name: value for name, value in measured.metrics.items() if _is_of_rankings(name)}
    others = {name: value for name, value in measured.metrics.items() if name not in ranking}
    tables = []
    if measured.before:
        rows: list[list[str | float | None]] = [
            [key, measured.before[key], value, value - measured.before[key]]
            for key, value in ranking.items()
        ]
        tables.append(Table("Rankings", ["metric", "before", "reranked", "gain"], rows))
    elif ranking:
        tables.append(Table("Rankings", ["metric", "value"], [[k, v] for k, v in ranking.items()]))
    if others:
        tables.append(Table("Pairs", ["metric", "value"], [[k, v] for k, v in others.items()]))
    return tables


def _is_of_rankings(name: str) -> bool:
    return "@" in name or name == "map"


def _examples(data: EvalData, scores: Any) -> list[ScoredExample]:
    """Matches with the lowest scores, and others with the highest."""
    is_match = np.asarray(data.labels) > 0
    order = np.argsort(scores, kind="stable")
    missed = [index for index in order if is_match[index]][:_NUM_EXAMPLES]
    wrong = [index for index in order[::-1] if not is_match[index]][:_NUM_EXAMPLES]
    return [
        ScoredExample(
            shown_document(data.pairs[index].pair.query),
            shown_document(data.pairs[index].pair.document),
            data.pairs[index].label,
            float(scores[index]),
        )
        for index in [*missed, *wrong]
    ]


def shown_document(document: Document) -> str:
    """A document in words: its texts, and the names of its media without the folders."""
    return " + ".join(
        part.text if isinstance(part, Text) else f"{part.modality}: {_name_of(part.source)}"
        for part in document
    )


def _name_of(source: Any) -> str:
    if not isinstance(source, (str, PathLike)) or is_data_uri(str(source)):
        return "(data)"
    return Path(source).name if scheme_of(str(source)) is None else shown_url(str(source))


# ------------------------------------------------------------ files


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON; numbers that are not finite become null."""
    text = json.dumps(finite(value), ensure_ascii=False, indent=2)
    _write(path, text + "\n")


def finite(value: Any) -> Any:
    """The value with None for each float that JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_scores(path: str | Path, data: EvalData, scores: Any) -> None:
    """One JSON line a pair: query_id, document_id, label, score; a list for several labels."""
    lines = [
        json.dumps(
            {
                "query_id": judged.query_id,
                "document_id": judged.document_id,
                "label": judged.label,
                "score": np.asarray(score).tolist(),
            },
            ensure_ascii=False,
        )
        for judged, score in zip(data.pairs, scores, strict=True)
    ]
    _write(path, "\n".join(lines) + "\n")


def _write(path: str | Path, text: str) -> None:
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
