"""What all builders share: lively random weights and plain json files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

Model = TypeVar("Model", bound=PreTrainedModel)

__all__ = ["make_model", "round_up", "write_json", "write_noise"]


def make_model(construct: Callable[[], Model], *, seed: int, matrix_gain: float) -> Model:
    """A model with random weights strong enough that scores of different pairs differ.

    Matrices are multiplied by `matrix_gain`; biases and norm weights, which are all 0 or all 1
    in a fresh model, get noise, so that an implementation that forgets one of them is found out.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = construct().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(matrix_gain)
                else:
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
        _keep_padding_rows_zero(model)
    return model


def _keep_padding_rows_zero(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            with torch.no_grad():
                module.weight[module.padding_idx].zero_()


def round_up(number: int, multiple: int = 64) -> int:
    """Vocabulary sizes are padded, as in the published models: more rows than tokens."""
    return -(-number // multiple) * multiple


def write_noise(folder: Path, shapes: Mapping[str, tuple[int, ...]], *, seed: int) -> Path:
    """A file of weights of standard normal numbers, for models that are built from their folder.
    Returns the folder.
    """
    noise = torch.Generator().manual_seed(seed)
    weights = {name: torch.randn(shape, generator=noise) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def write_json(path: Path, value: dict[str, Any] | list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
