"""What a saved folder says of its family, in a file of ours beside the peer's.

A family may be known by the repository's name alone, and what it cuts from long pairs has no place
in the peer's files. Both would be lost in a folder of another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from mmrerank.errors import CheckpointError, SpecError, shorten
from mmrerank.specs.folders import list_processors
from mmrerank.specs.read import read_section
from mmrerank.specs.schema import ProcessorSpec, ResolvedSpec, TruncationSpec
from mmrerank.specs.st_format import read_json, write_json

__all__ = [
    "RECORD_FILE",
    "read_record",
    "recorded_processor",
    "recorded_truncation",
    "write_record",
]

RECORD_FILE = "mmrerank.json"
# The peer's files hold these two.
_KEPT_ELSEWHERE = ("rule", "max_length")


def write_record(folder: Path, spec: ResolvedSpec) -> None:
    """Write the family and its limits, or take away what an earlier save has written.

    Nothing is written of a processor that does not come with the package: its name means nothing
    to others.
    """
    path = folder / RECORD_FILE
    if not spec.is_shipped:
        path.unlink(missing_ok=True)
        return
    limits = {
        one.name: getattr(spec.truncation, one.name)
        for one in fields(TruncationSpec)
        if one.name not in _KEPT_ELSEWHERE and getattr(spec.truncation, one.name) != one.default
    }
    write_json(path, {"processor": spec.family, **({"truncation": limits} if limits else {})})


def recorded_processor(record: Mapping[str, Any]) -> ProcessorSpec | None:
    """The folder of the package that a record names; None where it names none of this version's.

    Nothing outside the package is looked for: a checkpoint may not say which files are read.
    """
    name = record.get("processor")
    return next((one for one in list_processors() if one.name == name), None)


def recorded_truncation(record: Mapping[str, Any], rule: TruncationSpec) -> TruncationSpec:
    """`rule` with the limits of a record. Raises CheckpointError for limits that are none."""
    limits = record.get("truncation", {})
    if not isinstance(limits, Mapping):
        raise CheckpointError(
            f"{RECORD_FILE}: truncation = {shorten(limits)} is no table of limits"
        )
    try:
        read = read_section(TruncationSpec, limits, Path(RECORD_FILE), "truncation")
    except SpecError as error:
        raise CheckpointError(f"{error}. Delete the file to load the folder without it.") from error
    return replace(rule, **{name: getattr(read, name) for name in limits})


def read_record(folder: Path) -> Mapping[str, Any]:
    """Content of the file, {} where there is none."""
    record = read_json(folder / RECORD_FILE, default={})
    if not isinstance(record, Mapping):
        raise CheckpointError(f"{RECORD_FILE} of the checkpoint is no table; delete it")
    return record
