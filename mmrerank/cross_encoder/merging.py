"""`CrossEncoder.merge`: names, folders and models in, one merged model out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from mmrerank.cross_encoder.calibrating import Calibrating
from mmrerank.errors import InputError, WrongArgument
from mmrerank.training.merging import MergeOptions, merge_models

__all__ = ["merge"]

C = TypeVar("C", bound=Calibrating)


def merge(
    cls: type[C],
    models: Sequence[str | Path | C],
    base_model: str | Path | C | None,
    options: MergeOptions,
    device: str | torch.device,
    **load_kwargs: Any,
) -> C:
    """Load what is only named, and merge. load_kwargs: of `cls`, for those that are loaded.

    Raises as `merge_models`; WrongArgument for what is neither a model nor the name of one.
    """
    if isinstance(models, (str, Path)) or len(models) < 2:
        raise InputError("merge() needs a list of two or more models, folders or hub ids")
    named = list(models)
    if base_model is not None:
        place = next((i for i, model in enumerate(named) if _is_same(model, base_model)), None)
        options = replace(options, base=len(named) if place is None else place)
        named += [base_model] if place is None else []
    merged = merge_models(
        [_loaded(cls, model, device, load_kwargs) for model in named], options, torch.device(device)
    )
    # What was noted of the first one's training, or fitted on its scores, does not hold here.
    merged.calibration = None
    merged._changed()
    return merged


def _is_same(one: Any, other: Any) -> bool:
    is_named = isinstance(one, (str, Path)) and isinstance(other, (str, Path))
    return one is other or (is_named and str(one) == str(other))


def _loaded(cls: type[C], model: Any, device: Any, options: dict[str, Any]) -> C:
    if isinstance(model, (str, Path)):
        make: Any = cls
        loaded: C = make(str(model), device=str(device), **options)
        return loaded
    if not isinstance(model, cls):
        raise WrongArgument(
            f"merge() takes {cls.__name__}s, folders and hub ids, not {type(model).__name__}"
        )
    return model
