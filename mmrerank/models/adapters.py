"""Folders that hold an adapter alone: which base model it is for, and how it gets onto that."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmrerank.errors import CheckpointError, MissingExtra, shorten
from mmrerank.specs.st_format import read_json, read_st_files

__all__ = [
    "ADAPTER_FILES",
    "AdapterBase",
    "attach_adapter",
    "base_of",
    "has_adapter",
    "naming_local_base",
]

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_FILES = (ADAPTER_CONFIG, "adapter_model.safetensors", "adapter_model.bin")
# What tells that a folder has a tokenizer of its own.
_TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class AdapterBase:
    """The model that an adapter was made for.

    name: as adapter_config.json has it. weights: where its weights and config.json lie. adapter:
    the folder of the adapter's own files. files: the folder whose tokenizer, templates and
    sentence-transformers files count.
    """

    name: str
    weights: Path
    adapter: Path
    files: Path


def base_of(folder: Path, fetch: Callable[[str], Path]) -> AdapterBase | None:
    """The base that an adapter's folder names; None for a folder that holds a whole model.

    fetch: a name to its folder. Raises CheckpointError when the base is not named or not to be had.
    """
    root = folder / read_st_files(folder).transformer_path
    config = read_json(root / ADAPTER_CONFIG)
    if config is None or (root / "config.json").is_file():
        return None
    name = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(name, str) or not name:
        raise CheckpointError(
            f"{folder}: {ADAPTER_CONFIG} names no base_model_name_or_path, so the model that the "
            "adapter belongs to is unknown. Load that model, then call load_adapter(...)."
        )
    try:
        base = fetch(name)
    except CheckpointError as error:
        raise CheckpointError(
            f"{folder} is an adapter for {shorten(name)}, which could not be had: {error}"
        ) from error
    # PEFT alone saves nothing but the adapter.
    has_tokenizer = any((root / file).is_file() for file in _TOKENIZER_FILES)
    weights = base / read_st_files(base).transformer_path
    return AdapterBase(name, weights, adapter=root, files=folder if has_tokenizer else base)


def attach_adapter(model: Any, folder: Path) -> None:
    """Put the adapter of a folder onto its base model, frozen and in force.

    Raises MissingExtra without peft, CheckpointError when it does not fit the model.
    """
    try:
        model.load_adapter(str(folder))
    except ImportError as error:
        raise MissingExtra("Adapters need the extra: pip install 'mmrerank[train]'") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: the adapter cannot be loaded: {error}") from error


@contextmanager
def naming_local_base(model: Any, folder: Path) -> Iterator[None]:
    """Within it an adapter's base goes by its folder; what was saved names it as before.

    peft looks at the base's config.json when it saves: on the hub, unless the name is a folder.
    """
    config = model.peft_config[model.active_adapters()[0]]
    name, local = config.base_model_name_or_path, model.config.name_or_path
    config.base_model_name_or_path = local if Path(local).is_dir() else name
    try:
        yield
    finally:
        config.base_model_name_or_path = name
    saved = folder / ADAPTER_CONFIG
    text = json.dumps({**read_json(saved), "base_model_name_or_path": name}, indent=2)
    saved.write_text(text, encoding="utf-8")


def has_adapter(model: Any) -> bool:
    """Whether PEFT adapters are on a transformers model."""
    return bool(vars(model).get("_hf_peft_config_loaded", False))
