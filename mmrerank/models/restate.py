"""Vendors' architectures that are one of transformers' under other names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from torch import Tensor

from mmrerank.models.architectures import RESTATED, Restatement
from mmrerank.models.named_weights import read_weights
from mmrerank.specs.st_format import read_json

__all__ = [
    "is_restated",
    "quiet_where",
    "restated_config",
    "restated_weights",
    "runs_as_restated",
]

# What belongs to the vendor's classes, not to the architecture.
_NOT_FIELDS = ("_name_or_path", "architectures", "auto_map", "model_type", "transformers_version")


def restated_config(
    folder: Path, overrides: Mapping[str, Any], num_layers: int | None = None
) -> Any | None:
    """The config of transformers' own class for what config.json of a folder describes.

    None where the architecture is not known to be one of its own. num_layers: the first layers
    alone, None for all of them. What depends on the number of layers is computed from the whole.
    """
    said = {**read_json(folder / "config.json", default={}), **overrides}
    restatement = _restatement(said)
    if restatement is None:
        return None
    left_out = {*_NOT_FIELDS, *restatement.left_out}
    # A null stands for the class's own default, which may have another name by now.
    fields = {k: v for k, v in said.items() if k not in left_out and v is not None}
    fields.update(restatement.fields(said))
    if num_layers is not None:
        fields["num_hidden_layers"] = num_layers
    return getattr(transformers, restatement.config)(**fields)


def _restatement(said: Mapping[str, Any]) -> Restatement | None:
    known = RESTATED.get((said.get("architectures") or [""])[0])
    # An older transformers may lack the class.
    if known is None or not hasattr(transformers, known.config) or not known.holds(said):
        return None
    return known


def is_restated(folder: Path) -> bool:
    """Whether `restated_config` knows the architecture."""
    return _restatement(read_json(folder / "config.json", default={})) is not None


def runs_as_restated(folder: Path) -> bool:
    """Whether a class that stands in for a vendor's runs a folder: a vendor's own, or a saved one,
    whose config.json is transformers'.
    """
    configs = [getattr(transformers, known.config, None) for known in RESTATED.values()]
    said = read_json(folder / "config.json", default={})
    is_saved = said.get("model_type") in {config.model_type for config in configs if config}
    return is_saved or _restatement(said) is not None


def restated_weights(folder: Path, *, model: str) -> tuple[Any, dict[str, Tensor]] | None:
    """The class to load and its weights, where a folder's have names that transformers does not
    know; None where it does.

    model: how the user calls the checkpoint. Raises CheckpointError where files are missing.
    """
    restatement = _restatement(read_json(folder / "config.json", default={}))
    if restatement is None or not restatement.cls:
        return None
    weights: dict[str, Tensor] = {}
    for name, tensor in read_weights(folder, model=model).items():
        for theirs, ours in restatement.renamed:
            name = name.replace(theirs, ours)
        joint = next((part for part in name.split(".") if part in restatement.split), None)
        parts = restatement.split[joint] if joint else ()
        if joint:
            own = zip(parts, tensor.chunk(len(parts)), strict=True)
            weights |= {name.replace(joint, part): rows.clone() for part, rows in own}
        else:
            weights[name] = tensor
    return getattr(transformers, restatement.cls), weights


@contextmanager
def quiet_where(is_known: bool) -> Iterator[None]:
    """Without transformers' remarks that a checkpoint has another name and more weights than its
    class or fields of older versions, where that is known to be so.

    Weights that are missing are reported by whoever loads.
    """
    before = transformers.logging.get_verbosity()
    if is_known:
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            if is_known:
                warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers.logging.set_verbosity(before)
