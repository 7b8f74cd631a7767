"""A score read after an earlier layer, through that layer's own output row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mmrerank.errors import CheckpointError, InputError
from mmrerank.heads.mlp import make_mlp
from mmrerank.specs import HeadSpec

__all__ = ["checked_layer", "make_layer_head", "output_layer_name"]

_NUMBER = re.compile(r"\{layer(?:-(\w+))?\}")


def checked_layer(spec: HeadSpec, config: Mapping[str, Any], model_name: str) -> int | None:
    """The number of layers that a head reads after, None for heads that read after the last one.

    config: config.json of the checkpoint; its start_layer, where it has one, is the first layer
    that can be read. Raises InputError when the model has no such layer.
    """
    if spec.kind != "layer":
        return None
    first, last = int(config.get("start_layer", 1)), int(config["num_hidden_layers"])
    if spec.layer is None or not first <= spec.layer <= last:
        raise InputError(
            f"cutoff_layer={spec.layer}: {model_name} can be scored after layer {first} to {last}. "
            "Give one of these as cutoff_layer."
        )
    return spec.layer


def output_layer_name(spec: HeadSpec, config: Mapping[str, Any], model_name: str) -> str:
    """Name of the output layer that `spec.layer` is read through.

    `{layer-start_layer}` in the spec's name stands for the number of the layer less that field of
    config.json. Raises CheckpointError when the config lacks the field.
    """
    layer = checked_layer(spec, config, model_name)
    assert layer is not None, "asked for heads of kind layer"

    def number(match: re.Match[str]) -> str:
        field = match.group(1)
        if field is not None and field not in config:
            raise CheckpointError(
                f"{model_name}: its config.json has no {field!r}, which the name of the output "
                f"layer {spec.weights[0]!r} is made of. A family named by processor=... may fit it."
            )
        return str(layer - int(config[field]) if field is not None else layer)

    return _NUMBER.sub(number, spec.weights[0])


def make_layer_head(
    spec: HeadSpec,
    weight: Tensor,
    bias: Tensor | None,
    model_name: str,
    *,
    softcap: float | None = None,
) -> list[nn.Module]:
    """Modules that make a logit of the last token's state; sentence-transformers knows them too.

    weight: (1, hidden_size). softcap: some models squash their logits to ±softcap.
    Raises CheckpointError when the output layer has more than one row.
    """
    if softcap is None:
        return make_mlp(replace(spec, weights=spec.weights[:1]), [(weight, bias)], model_name)
    squashed = replace(spec, weights=(spec.weights[0], "softcap"), between="tanh")
    rows = weight.float() / softcap, None if bias is None else bias.float() / softcap
    return make_mlp(squashed, [rows, (torch.tensor([[softcap]]), None)], model_name)
