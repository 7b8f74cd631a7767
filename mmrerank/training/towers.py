"""Which weights are the towers', found without knowing their names: what is not language model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from mmrerank.errors import InputError

__all__ = ["freeze_towers", "language_models", "tower_modules"]


def language_models(model: Any) -> list[nn.Module]:
    """The part of a transformers model that reads tokens, both parts of an encoder-decoder; all but
    the head in a text model.
    """
    both = [model.get_encoder()] if model.config.is_encoder_decoder else []
    return [*both, model.get_decoder()]


def tower_modules(model: Any) -> Iterator[tuple[str, nn.Module]]:
    """Modules of the media towers and what joins them to the language model, by dotted name.

    model: the transformers model. Nothing for a text model, as all encoder-decoders are here.
    """
    base: nn.Module = model.base_model
    decoder = model.get_decoder()
    if base is decoder or model.config.is_encoder_decoder:
        return
    inside = {id(module) for module in decoder.modules()}
    around = {id(module) for module in base.modules() if decoder in module.modules()}
    names = {id(module): name for name, module in model.named_modules()}
    for module in base.modules():
        if id(module) not in inside | around:
            yield names[id(module)], module


def freeze_towers(model: Any, trained: bool = False) -> int:
    """Let the media towers stay as they are in training, or train them with the rest.

    model: a CrossEncoder or a transformers model. trained: True undoes the freezing.
    Returns how many weights were switched. Raises InputError for a text model asked to train them.
    """
    inner = _transformers_model(model)
    parameters = {
        id(parameter): parameter
        for _, module in tower_modules(inner)
        for parameter in module.parameters(recurse=False)
    }
    if trained and not parameters:
        raise InputError("this model reads text alone: it has no towers to train")
    for parameter in parameters.values():
        parameter.requires_grad_(trained)
    return sum(parameter.numel() for parameter in parameters.values())


def _transformers_model(model: Any) -> Any:
    from transformers import PreTrainedModel

    return model if isinstance(model, PreTrainedModel) else model.transformers_model
