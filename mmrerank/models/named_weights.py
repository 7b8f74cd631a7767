"""Layers of a checkpoint that no architecture of transformers has, read from its files by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from mmrerank.errors import CheckpointError
from mmrerank.specs.st_format import read_json

__all__ = ["LinearWeights", "read_linear_weights", "read_weights"]

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = f"{WEIGHTS_FILE}.index.json"

# (out_features, in_features), and (out_features,) where the layer has a bias.
LinearWeights = tuple[Tensor, Tensor | None]


def read_linear_weights(folder: Path, names: Sequence[str], *, model: str) -> list[LinearWeights]:
    """Weight and bias of the named linear layers, in that order, in the dtype they are stored in.

    folder: holds model.safetensors, or the index of several files. names: as `score.0`; the files
    have `score.0.weight` and perhaps `score.0.bias`. model: how the user calls the checkpoint.
    Raises CheckpointError naming the weights that are not there.
    """
    file_of = _files_by_key(folder, model)
    missing = [f"{name}.weight" for name in names if f"{name}.weight" not in file_of]
    if missing:
        raise CheckpointError(
            f"{model}: its files lack {', '.join(missing)}, which the score is read through. It is "
            "another kind of model than its config.json says, or incomplete; a family named by "
            "processor=... may fit it."
        )
    layers: list[LinearWeights] = []
    for name in names:
        bias = f"{name}.bias"
        layers.append(
            (
                _read(folder, file_of, f"{name}.weight"),
                _read(folder, file_of, bias) if bias in file_of else None,
            )
        )
    return layers


def read_weights(folder: Path, *, model: str) -> dict[str, Tensor]:
    """All weights of a folder by name, in the dtype they are stored in. For the arguments and the
    error see `read_linear_weights`.
    """
    file_of = _files_by_key(folder, model)
    return {key: _read(folder, file_of, key) for key in file_of}


def _files_by_key(folder: Path, model: str) -> dict[str, str]:
    """Name of each weight -> the file that holds it."""
    index = read_json(folder / INDEX_FILE)
    if index is not None:
        return {str(key): str(file) for key, file in index.get("weight_map", {}).items()}
    if not (folder / WEIGHTS_FILE).is_file():
        raise CheckpointError(
            f"{model}: weights are read by name from {WEIGHTS_FILE}, and there is no such file "
            f"and no {INDEX_FILE}. Weights in other formats are not read for that."
        )
    try:
        with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
            return dict.fromkeys(file.keys(), WEIGHTS_FILE)
    except SafetensorError as error:
        raise CheckpointError(f"{model}: {WEIGHTS_FILE} cannot be read: {error}") from error


def _read(folder: Path, file_of: dict[str, str], key: str) -> Tensor:
    try:
        with safe_open(folder / file_of[key], framework="pt") as file:
            tensor: Tensor = file.get_tensor(key)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file_of[key]}: {key} cannot be read: {error}") from error
    return tensor
