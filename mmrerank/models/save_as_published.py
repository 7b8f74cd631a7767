"""Weights and files out in the form that a listwise model is published in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmrerank.errors import CheckpointError
from mmrerank.models.adapters import ADAPTER_FILES, has_adapter
from mmrerank.models.load import Backbone
from mmrerank.specs.st_format import MODEL_FILE, MODULES_FILE, read_json, write_json

__all__ = ["save_as_published"]

logger = logging.getLogger(__name__)


def save_as_published(
    folder: Path,
    backbone: Backbone,
    head: Mapping[str, Tensor],
    model_config: Mapping[str, Any],
    *,
    safe_serialization: bool = True,
) -> None:
    """Write a folder that the family's match rules recognise, as its published ones.

    head: weights of the head by their names in the published files. The weights of a bare decoder
    get the prefix that they have under an output layer, and config.json keeps the published
    architecture, so that what loads the published form loads this one too.
    Raises CheckpointError for a model with adapters.
    """
    model: Any = backbone.model
    if has_adapter(model):
        raise CheckpointError(
            "a listwise model with adapters has no form on disk. Call merge_adapter() first."
        )
    logger.warning(
        "%s: saved in the form that the model is published in. sentence-transformers 6.2 has no "
        "form for listwise models: it would refuse this folder, or load it with a random head. "
        "Load it with mmrerank.",
        folder,
    )
    for name in (*ADAPTER_FILES, MODULES_FILE):  # they would say something else of the weights
        (folder / name).unlink(missing_ok=True)
    architectures = list(model.config.architectures or [])
    options: dict[str, Any] = {"safe_serialization": safe_serialization}
    if backbone.task == "feature-extraction":
        weights = {f"{model.base_model_prefix}.{k}": v for k, v in model.state_dict().items()}
        every = {**weights, **head}
        options["state_dict"] = {name: tensor.contiguous() for name, tensor in every.items()}
    try:
        model.save_pretrained(folder, **options)
    finally:
        model.config.architectures = architectures
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "architectures": architectures})
    backbone.processor.save_pretrained(folder)
    write_json(folder / MODEL_FILE, dict(model_config))
