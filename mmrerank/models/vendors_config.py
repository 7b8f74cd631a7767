"""Fields of a vendor's config that transformers would not write."""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from mmrerank.models.vendors_code import is_vendors_class
from mmrerank.specs.st_format import read_json, write_json

__all__ = ["save_with_own_fields"]

# A common field of every config, which transformers writes.
_WRITTEN = frozenset({"use_cache", "transformers_version"})


def save_with_own_fields(folder: Path, model: Any, **options: Any) -> None:
    """`model.save_pretrained` for whole models of any vendor.

    transformers refuses to save a config that has a field of the name of a generation setting.
    Some vendors' own classes have one, such as the `temperature` that logits are divided by, and
    need it in config.json when they are loaded again. So it is put there afterwards.
    """
    fields = _fields_of_generation(model.config)
    saved = _without(model, fields) if fields else model
    saved.save_pretrained(folder, **options)
    if not is_vendors_class(type(model.config)):
        return
    config = read_json(folder / "config.json")
    own = {**_arguments_not_in(config, model.config), **fields}
    if own:
        write_json(folder / "config.json", {**config, **own})


def _arguments_not_in(written: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """What the constructor of a vendor's config takes and transformers writes under another name.

    `rope_scaling` is one: it becomes `rope_parameters`, which the vendor's class does not read.
    """
    names = set(inspect.signature(type(config).__init__).parameters) - set(written)
    values = {name: getattr(config, name, None) for name in sorted(names)}
    plain = (bool, int, float, str, list, dict)
    return {name: value for name, value in values.items() if isinstance(value, plain)}


def _fields_of_generation(config: Any) -> dict[str, Any]:
    """What a class of the vendor's own sets; transformers' classes take none in, and the fields
    that a class of theirs declares are written.
    """
    declared = {field.name for field in dataclasses.fields(config)}
    settings = GenerationConfig().to_dict()  # type: ignore[no-untyped-call]
    names = set(settings) - _WRITTEN - declared
    return {
        name: value for name, value in vars(config).items() if name in names and value is not None
    }


def _without(model: Any, fields: Mapping[str, Any]) -> Any:
    """A copy that shares the weights. The model itself may be scoring in another thread, with the
    fields.
    """
    twin = copy.copy(model)
    twin.config = copy.deepcopy(model.config)
    for name in fields:
        delattr(twin.config, name)
    return twin
