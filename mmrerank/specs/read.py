"""processor.toml to ProcessorSpec; each mistake is named with file, key and what is allowed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mmrerank.errors import SpecError
from mmrerank.specs.schema import (
    BudgetSpec,
    EncoderDecoderSpec,
    HeadSpec,
    ListwiseSpec,
    LoraSpec,
    MatchSpec,
    ModelSpec,
    PairMethodSpec,
    PixelBudget,
    ProcessorSpec,
    TemplateSpec,
    TruncationSpec,
)
from mmrerank.types import DecodeBudget

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["PROCESSOR_FILE", "read_processor", "read_section"]

PROCESSOR_FILE = "processor.toml"
_T = TypeVar("_T")


def read_processor(folder: Path) -> ProcessorSpec:
    """Read one processor folder.

    Raises SpecError naming the file and the key when something is missing, unknown or of a wrong
    type.
    """
    path = folder / PROCESSOR_FILE
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"{folder}: a processor folder needs a {PROCESSOR_FILE}") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: {error}") from error
    data.setdefault("name", folder.name)
    data["match"] = read_section(MatchSpec, data.get("match", {}), path, "match")
    data["template"] = _template(dict(data.get("template", {})), path)
    data["head"] = read_section(HeadSpec, data.get("head", {}), path, "head")
    data["budget"] = _budget(data.get("budget", {}), path)
    data["truncation"] = read_section(
        TruncationSpec, data.get("truncation", {}), path, "truncation"
    )
    data["lora"] = read_section(LoraSpec, data.get("lora", {}), path, "lora")
    data["model"] = read_section(ModelSpec, data.get("model", {}), path, "model")
    if "listwise" in data:
        data["listwise"] = read_section(ListwiseSpec, data["listwise"], path, "listwise")
    if "encoder_decoder" in data:
        said = data["encoder_decoder"]
        data["encoder_decoder"] = read_section(EncoderDecoderSpec, said, path, "encoder_decoder")
    if "pair_method" in data:
        data["pair_method"] = read_section(PairMethodSpec, data["pair_method"], path, "pair_method")
    return read_section(ProcessorSpec, data, path, "")


def _template(data: dict[str, Any], path: Path) -> TemplateSpec:
    file = data.pop("file", None)
    if file is not None:
        try:
            data["text"] = (path.parent / file).read_text(encoding="utf-8")
        except OSError as error:
            raise SpecError(
                f"{path}: [template] file = {file!r} cannot be read: {error}"
            ) from error
    if data.get("kind") == "chat" and not data.get("text"):
        raise SpecError(f'{path}: [template] of kind "chat" needs file = "chat_template.jinja"')
    return read_section(TemplateSpec, data, path, "template")


def _budget(data: Mapping[str, Any], path: Path) -> BudgetSpec:
    known = {"image", "video", "frame", "decode"}
    _refuse_unknown(data, known, path, "budget")
    decode = dict(data.get("decode", {}))
    pixels = {
        kind: read_section(PixelBudget, data[kind], path, f"budget.{kind}")
        if kind in data
        else None
        for kind in ("image", "video", "frame")
    }
    return BudgetSpec(
        decode=read_section(DecodeBudget, decode, path, "budget.decode"),
        image=pixels["image"],
        video=pixels["video"],
        frame=pixels["frame"],
    )


def read_section(cls: type[_T], data: Mapping[str, Any], path: Path, section: str) -> _T:
    """Build a dataclass from one table, checking keys and simple types.

    Raises SpecError naming file and key.
    """
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    _refuse_unknown(data, set(known), path, section)
    missing = [
        name
        for name, f in known.items()
        if name not in data and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise SpecError(f"{path}: [{section}] needs {', '.join(missing)}")
    hints = get_type_hints(cls)
    values = {
        name: _checked(value, hints[name], f"{path}: [{section}] {name}")
        for name, value in data.items()
    }
    try:
        return cls(**values)
    except SpecError as error:
        raise SpecError(f"{path}: [{section}] {error}") from error


def _refuse_unknown(data: Mapping[str, Any], known: set[str], path: Path, section: str) -> None:
    for name in data.keys() - known:
        hint = get_close_matches(name, known, n=1)
        meant = (
            f"; did you mean {hint[0]!r}?" if hint else f"; known keys: {', '.join(sorted(known))}"
        )
        raise SpecError(f"{path}: [{section}] has an unknown key {name!r}{meant}")


def _checked(value: Any, hint: Any, where: str) -> Any:
    """Lists become tuples; literals and scalars must be of the declared type."""
    if get_origin(hint) is tuple:
        kind = int if int in get_args(hint) else str
        if not isinstance(value, list) or not all(type(item) is kind for item in value):
            words = "whole numbers" if kind is int else "strings"
            raise SpecError(f"{where} = {value!r}: needs a list of {words}")
        return tuple(value)
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise SpecError(f"{where} = {value!r}: needs a table, as {{ key = value }}")
        return value
    choices = [arg for arg in get_args(hint) if isinstance(arg, str)]
    if choices and value not in choices:
        raise SpecError(f"{where} = {value!r}: allowed are {', '.join(map(repr, choices))}")
    allowed = [arg for arg in (*get_args(hint), hint) if arg in (str, int, float, bool)]
    number_as_float = float in allowed and isinstance(value, int)
    if allowed and not number_as_float and type(value) not in allowed:
        names = " or ".join(t.__name__ for t in allowed)
        raise SpecError(f"{where} = {value!r}: needs {names}, got {type(value).__name__}")
    return value
