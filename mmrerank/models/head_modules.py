"""The modules after the transformer, with their weights, from the folders of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mmrerank.errors import CheckpointError, shorten
from mmrerank.heads import Dense, LayerNorm, LogitScore, Pooling, activation_by_name
from mmrerank.specs import CheckpointFacts
from mmrerank.specs.st_format import StModule

__all__ = ["load_head_modules"]

_WEIGHTS_FILE = "model.safetensors"
_PICKLED_FILE = "pytorch_model.bin"
# Without these there is no module; anything else has a default.
_NEEDED = {
    "LogitScore": ("true_token_id",),
    "Pooling": ("embedding_dimension",),
    "Dense": ("in_features", "out_features"),
    "LayerNorm": ("dimension",),
}


def load_head_modules(
    folder: Path,
    facts: CheckpointFacts,
    *,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
) -> list[nn.Module]:
    """The checkpoint's modules after the transformer, with their weights.

    allow_pickle: read pytorch_model.bin where there is no model.safetensors, tensors only.
    Raises CheckpointError for a module of a kind that is not known here, and for one whose config
    or weights are missing.
    """
    return [
        _load_module(
            facts.name,
            module,
            folder / module.path,
            trust_remote_code=trust_remote_code,
            allow_pickle=allow_pickle,
        )
        for module in facts.st.head_modules
    ]


def _load_module(
    name: str, saved: StModule, folder: Path, *, trust_remote_code: bool, allow_pickle: bool
) -> nn.Module:
    config = _checked_config(name, saved)
    module: nn.Module
    if saved.kind == "LogitScore":
        known = {key: value for key, value in config.items() if key in LogitScore.config_keys}
        return LogitScore(**known)
    if saved.kind == "Pooling":
        return Pooling(**config)
    if saved.kind == "Dense":
        activation = activation_by_name(
            str(config.pop("activation_function", "")) or "torch.nn.Tanh",
            num_labels=2,
            trust_remote_code=trust_remote_code,
        )
        known = {key: value for key, value in config.items() if key in Dense.config_keys}
        module = Dense(**known, activation_function=activation)
    else:
        module = LayerNorm(config["dimension"])
    try:
        module.load_state_dict(_weights(name, folder, allow_pickle=allow_pickle))
    except RuntimeError as error:
        raise CheckpointError(
            f"{name}: the weights of {shorten(saved.path)} do not fit its config.json: {error}"
        ) from error
    return module


def _checked_config(name: str, saved: StModule) -> dict[str, Any]:
    if saved.kind not in _NEEDED:
        raise CheckpointError(
            f"{name}: modules.json names a module of kind {shorten(saved.kind)}, which is not "
            f"known here; known are {', '.join(_NEEDED)}"
        )
    config = dict(saved.config)
    if saved.kind == "Pooling":
        config = _pooling_config(config)
    missing = [key for key in _NEEDED[saved.kind] if config.get(key) is None]
    if missing:
        raise CheckpointError(
            f"{name}: {saved.path}/config.json, which modules.json names, lacks "
            f"{', '.join(missing)}; without it the module {saved.kind} cannot be made"
        )
    if config.get("use_residual"):
        raise CheckpointError(
            f"{name}: {saved.path}/config.json asks for use_residual, which is not known here; "
            "scores without it would be wrong"
        )
    return config


def _weights(name: str, folder: Path, *, allow_pickle: bool) -> dict[str, Tensor]:
    if (folder / _WEIGHTS_FILE).is_file():
        return load_file(folder / _WEIGHTS_FILE)
    if not (folder / _PICKLED_FILE).is_file():
        raise CheckpointError(f"{name}: {folder.name} has no {_WEIGHTS_FILE}, so it is incomplete")
    if not allow_pickle:
        raise CheckpointError(
            f"{name}: {folder.name} holds its weights in {_PICKLED_FILE} only. Pickled files can "
            "run code when they are read; if you trust this one, pass "
            "model_kwargs={'use_safetensors': False}."
        )
    weights: dict[str, Tensor] = torch.load(
        folder / _PICKLED_FILE, map_location="cpu", weights_only=True
    )
    return weights


def _pooling_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Older files name the dimension otherwise and carry one flag a mode."""
    old = {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens": "weightedmean",
        "pooling_mode_lasttoken": "lasttoken",
    }
    modes = [mode for flag, mode in old.items() if config.get(flag)] or ["mean"]
    dimension = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    return {
        "embedding_dimension": dimension,
        "pooling_mode": config.get("pooling_mode", modes),
        "include_prompt": config.get("include_prompt", True),
    }
