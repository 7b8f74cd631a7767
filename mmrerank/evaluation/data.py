"""Judged pairs: what a file or a folder of evaluation data becomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmrerank.errors import InputError
from mmrerank.types import Pair

__all__ = ["EvalData", "JudgedPair", "json_lines"]


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair to be scored, and what people say of it: a class, a grade or a score."""

    query_id: str
    document_id: str
    pair: Pair
    label: float


@dataclass(frozen=True, slots=True)
class EvalData:
    """Pairs to be scored, in the order of the file.

    judgements: grade by query and document, also of documents that are not among the pairs; they
    count as not found. first_stage: document ids by query, best first, of an earlier ranking.
    notes: what a reader of the results has to know of the data.
    """

    name: str
    pairs: Sequence[JudgedPair]
    judgements: Mapping[str, Mapping[str, float]]
    first_stage: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.pairs:
            raise InputError(f"{self.name}: there is nothing to evaluate.")

    @property
    def labels(self) -> list[float]:
        """One label a pair."""
        return [judged.label for judged in self.pairs]


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, object) of each line that is not blank; where is "dev.jsonl, line 3".

    Raises InputError for a file that cannot be read, and a line that is no JSON object.
    """
    import json

    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    with file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if not text.strip():
                    continue
                value = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{where}: no JSON in UTF-8 ({error})") from error
            if not isinstance(value, dict):
                raise InputError(f"{where}: a JSON object is needed, got {type(value).__name__}.")
            yield where, value
