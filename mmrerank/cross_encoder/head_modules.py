"""The modules behind the transformer: the checkpoint's own, or those that its family describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mmrerank.heads import (
    make_cosine,
    make_layer_head,
    make_logit_score,
    make_mlp,
    make_scaling,
    output_layer_name,
    scalings_of,
)
from mmrerank.models import Backbone, read_linear_weights
from mmrerank.specs import HeadSpec

__all__ = ["HeadSource", "complete_modules"]


@dataclass(frozen=True, slots=True)
class HeadSource:
    """Where the numbers of a head come from.

    name: how the user calls the checkpoint. folder: of its weights. config: its config.json.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    backbone: Backbone


def complete_modules(own: list[nn.Module], spec: HeadSpec, source: HeadSource) -> list[nn.Module]:
    """The checkpoint's own modules, and what the head needs beside them.

    Raises CheckpointError when a token or a layer of the head is not in the checkpoint, InputError
    for a layer that cannot be scored after.
    """
    modules = own or _made(spec, source)
    # Arithmetic that the checkpoint's files do already is not done twice.
    if spec.kind == "logit-score" and _has_arithmetic(spec) and not scalings_of(modules):
        modules = [*modules, make_scaling(spec)]
    return modules


def _made(spec: HeadSpec, source: HeadSource) -> list[nn.Module]:
    if spec.kind == "logit-score":
        return [make_logit_score(spec, source.backbone.tokenizer, source.name)]
    if spec.kind in ("mlp", "cosine"):
        layers = read_linear_weights(source.folder, spec.weights, model=source.name)
        if spec.kind == "cosine":
            return [make_cosine(spec, layers, source.name)]
        return make_mlp(spec, layers, source.name)
    if spec.kind == "layer":
        layer = output_layer_name(spec, source.config, source.name)
        [(weight, bias)] = read_linear_weights(source.folder, [layer], model=source.name)
        config: Any = source.backbone.model.config.get_text_config()
        softcap = getattr(config, "final_logit_softcapping", None)
        return make_layer_head(spec, weight, bias, source.name, softcap=softcap)
    return []


def _has_arithmetic(spec: HeadSpec) -> bool:
    return spec.bias != 0 or spec.divide != 1
