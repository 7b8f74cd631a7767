"""What `predict` is given → pairs: one pair, a batch, dicts, chat messages, arrays, streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from mmrerank.errors import InputError, UnsupportedInput, shorten
from mmrerank.inputs._containers import is_message
from mmrerank.inputs._keys import refuse_unknown_keys
from mmrerank.inputs.parse import parse_document
from mmrerank.types import DocumentError, Pair, Text

__all__ = ["OnError", "ParsedPairs", "iter_pairs", "parse_pairs"]

OnError: TypeAlias = Literal["raise", "record"]
_NEEDED = "A pair is (query, document): a tuple or list of two, or {'query': ..., 'document': ...}."


@dataclass(frozen=True, slots=True, eq=False)
class ParsedPairs:
    """The pairs of one call; with on_error="record" a DocumentError in the place of a bad one."""

    pairs: list[Pair | DocumentError]
    is_single: bool


def parse_pairs(
    inputs: Any, *, takes_media: bool = True, on_error: OnError = "raise"
) -> ParsedPairs:
    """Read the argument of `predict`: one pair or a list of pairs.

    Single or batch is told as in sentence-transformers: a list or tuple whose first element is no
    list or tuple is one pair. So ("q", ["text", image]) is one pair whose document has two parts.
    Raises InputError when `inputs` as a whole is neither; a bad pair in a batch raises or is
    recorded.
    """
    if _is_single(inputs):
        return ParsedPairs([_read_pair(inputs, 0, "inputs", takes_media, on_error)], is_single=True)
    rows = _rows_of(inputs)
    pairs = [
        _read_pair(row, index, f"inputs[{index}]", takes_media, on_error)
        for index, row in enumerate(rows)
    ]
    return ParsedPairs(pairs, is_single=False)


def iter_pairs(
    inputs: Iterable[Any], *, takes_media: bool = True
) -> Iterator[Pair | DocumentError]:
    """Read a stream of pairs one at a time; a bad one gives a DocumentError in its place."""
    for index, row in enumerate(inputs):
        yield _read_pair(row, index, f"inputs[{index}]", takes_media, "record")


# ---------------------------------------------------------------- one pair or many


def _is_single(inputs: Any) -> bool:
    if isinstance(inputs, np.ndarray):
        return inputs.dtype.kind in "UO" and inputs.size > 0 and inputs.ndim < 2
    if isinstance(inputs, (Mapping, Pair)):
        return True
    if not _is_row_sequence(inputs) or len(inputs) == 0:
        return False
    first = inputs[0]
    if isinstance(first, Pair) or _is_pair_dict(first):
        return False
    if isinstance(first, list) and isinstance(inputs, tuple) and len(inputs) == 2:
        # (["text", image], "document"): the query is a list of parts. A batch would hold pairs
        # only.
        return not _is_row_sequence(inputs[1])
    return not _is_row_sequence(first)


def _rows_of(inputs: Any) -> Sequence[Any]:
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "UO":
        rows: list[Any] = inputs.tolist()
        return rows
    if _is_row_sequence(inputs):
        rows = list(inputs)
        return rows
    raise UnsupportedInput(
        f"inputs: {type(inputs).__name__} {shorten(inputs)} is no pair and no list of pairs; "
        f"a query and a document are needed. {_NEEDED} For a stream use score_stream."
    )


def _is_row_sequence(value: Any) -> bool:
    # A column of `datasets` is a Sequence as well, and neither list nor tuple.
    return isinstance(value, Sequence) and not isinstance(
        value, (str, bytes, bytearray, memoryview)
    )


def _is_pair_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and "query" in value and "document" in value


# ---------------------------------------------------------------- one row


def _read_pair(
    row: Any, index: int, where: str, takes_media: bool, on_error: OnError
) -> Pair | DocumentError:
    try:
        return _pair_of(row, index, where, takes_media)
    except InputError as error:
        if on_error == "raise":
            raise
        return DocumentError(index, error)


def _pair_of(row: Any, index: int, where: str, takes_media: bool) -> Pair:
    if isinstance(row, Pair):
        return replace(row, index=index)
    if isinstance(row, np.ndarray) and row.dtype.kind in "UO":
        row = row.tolist()
    instruction = None
    if isinstance(row, Mapping):
        query, document, instruction = _sides_of_dict(row, where)
    elif _is_chat(row):
        query, document, instruction = _sides_of_chat(row, where)
    elif _is_row_sequence(row) and len(row) == 2:
        query, document = row[0], row[1]
    else:
        raise _no_pair(row, where)
    return Pair(
        index,
        parse_document(query, where=f"{where} (query)", takes_media=takes_media),
        parse_document(document, where=f"{where} (document)", takes_media=takes_media),
        instruction,
    )


def _no_pair(row: Any, where: str) -> InputError:
    if _is_row_sequence(row):
        found = f"{len(row)} element{'' if len(row) == 1 else 's'}"
        return InputError(f"{where}: {found}; a query and a document are needed. {_NEEDED}")
    found = f"{type(row).__name__} {shorten(row)}"
    return UnsupportedInput(f"{where}: {found}; a query and a document are needed. {_NEEDED}")


def _sides_of_dict(row: Mapping[str, Any], where: str) -> tuple[Any, Any, str | None]:
    if not _is_pair_dict(row) and not row.keys() & {"query", "document", "instruction"}:
        raise InputError(f"{where}: a dict with {sorted(map(str, row))} is no pair. {_NEEDED}")
    refuse_unknown_keys(row, ("query", "document", "instruction"), where)
    for side in ("query", "document"):
        if side not in row:
            raise InputError(f"{where}: the key {side!r} is missing. {_NEEDED}")
    instruction = row.get("instruction")
    if instruction is not None and not isinstance(instruction, str):
        raise UnsupportedInput(f"{where}: instruction is a str, got {type(instruction).__name__}.")
    return row["query"], row["document"], instruction


def _is_chat(row: Any) -> bool:
    """Whether a row is one conversation: messages, at least one of them query or document."""
    return (
        _is_row_sequence(row)
        and len(row) > 0
        and all(is_message(message) for message in row)
        and any(message["role"] in ("query", "document") for message in row)
    )


def _sides_of_chat(row: Sequence[Mapping[str, Any]], where: str) -> tuple[Any, Any, str | None]:
    sides: dict[str, Any] = {}
    for position, message in enumerate(row):
        role = message["role"]
        if role not in ("system", "query", "document") or role in sides:
            raise InputError(
                f"{where}[{position}]: the role {shorten(role)} is unknown or comes twice. "
                "One pair has the roles query and document, and system where there is an "
                "instruction."
            )
        sides[role] = message
    for role in ("query", "document"):
        if role not in sides:
            raise InputError(f"{where}: no message has the role {role!r}. {_NEEDED}")
    instruction = _instruction_of(sides["system"], where) if "system" in sides else None
    return sides["query"], sides["document"], instruction


def _instruction_of(message: Mapping[str, Any], where: str) -> str:
    content = parse_document({"content": message["content"]}, where=f"{where} (system)")
    texts = [part.text for part in content if isinstance(part, Text)]
    if len(texts) != len(content.parts):
        raise InputError(
            f"{where} (system): an instruction is text, got {', '.join(content.modalities)}."
        )
    return "\n".join(texts)
