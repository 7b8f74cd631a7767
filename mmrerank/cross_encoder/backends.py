"""What runs a model: the argument `backend`, and what `model_kwargs` say to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmrerank.engine import OpenVINO
from mmrerank.errors import EngineError, MissingExtra, WrongArgument, shorten
from mmrerank.specs.st_format import read_json

__all__ = ["check_device", "read_backend"]

# The peer's options for files of an exported model, and of another runtime.
_OF_FILES = ("file_name", "provider")


def read_backend(
    backend: str, model_kwargs: Mapping[str, Any] | None
) -> tuple[OpenVINO | None, dict[str, Any]]:
    """The backend, None for torch, and those of `model_kwargs` that are transformers'.

    Raises MissingExtra for a backend that is not there, WrongArgument for options of its that
    cannot be followed.
    """
    rest = dict(model_kwargs or {})
    if backend == "torch":
        return None, rest
    if backend != "openvino":
        raise MissingExtra(
            f"backend={shorten(backend)} is not available in this version; use backend='torch' or "
            "backend='openvino'."
        )
    for name in _OF_FILES:
        if rest.get(name) is not None:
            raise WrongArgument(
                f"model_kwargs[{name!r}]={shorten(rest[name])} cannot be followed: "
                "backend='openvino' compiles the checkpoint's own weights for the CPU and reads no "
                "exported files. Leave it out."
            )
    if rest.get("export") is False:
        raise WrongArgument(
            "model_kwargs['export']=False cannot be followed: backend='openvino' compiles the "
            "checkpoint's own weights and reads no exported files. Leave it out."
        )
    for name in (*_OF_FILES, "export"):
        rest.pop(name, None)
    return OpenVINO(_read_config(rest.pop("ov_config", None))), rest


def check_device(device: Any) -> None:
    """Raises EngineError for a device that OpenVINO does not run on here."""
    if str(device).partition(":")[0] != torch.device("cpu").type:
        raise EngineError(
            f"device={shorten(str(device))}: backend='openvino' runs on the CPU. Leave device "
            "out, or use backend='torch'."
        )


def _read_config(value: Any) -> Mapping[str, Any]:
    """A dict, or the path of a JSON file that holds one, as the peer takes it."""
    read = value
    if isinstance(value, (str, os.PathLike)):
        read = read_json(Path(value))
    if value is not None and not isinstance(read, Mapping):
        raise WrongArgument(
            "model_kwargs['ov_config'] must be a dict of options for OpenVINO, or the path of a "
            f"JSON file with one, got {shorten(value)}."
        )
    return read or {}
