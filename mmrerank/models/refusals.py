"""Checkpoints that cannot be loaded as they are: why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING

from mmrerank.errors import CheckpointError, shorten
from mmrerank.specs.st_format import read_json

__all__ = ["loading_error", "refuse_unknown_quantization"]

# One method that config.json spells otherwise than transformers' table does.
_TWO_WIDTHS = "bitsandbytes"


def refuse_unknown_quantization(name: str, folder: Path) -> None:
    """Raise CheckpointError for weights that transformers would read as if they were plain.

    It skips a method that it does not know with a mere warning; the scores would be noise.
    """
    settings = _quantization(folder)
    if not settings:
        return
    method = str(settings.get("quant_method", ""))
    if method in AUTO_QUANTIZER_MAPPING or method == _TWO_WIDTHS:
        return
    called = shorten(method) if method else "a method that config.json does not name"
    raise CheckpointError(
        f"{name}: its weights are quantised by {called}, which transformers cannot read: it would "
        "take the packed numbers for weights. Use the checkpoint that it was quantised from."
    )


def loading_error(
    name: str, folder: Path, error: Exception, *, trust_remote_code: bool
) -> CheckpointError:
    """transformers' reason, and what the files of the checkpoint say about it."""
    hint = (
        _hint_on_quantization(folder)
        or _hint_on_tokenizer(error)
        or _hint_on_weights(name, folder)
        or (_hint_on_age(error) if trust_remote_code else hint_on_code(folder))
    )
    # One of its reasons ends in a list of all the classes there are.
    reason = str(error).partition("\nModel type should be one of")[0] or type(error).__name__
    return CheckpointError(f"{name}: transformers cannot load it: {reason}{hint and f' {hint}'}")


def hint_on_code(folder: Path) -> str:
    """What to do where config.json names Python files of the repository; "" where it does not."""
    classes = (read_json(folder / "config.json", default={}) or {}).get("auto_map")
    if not isinstance(classes, Mapping) or not classes:
        return ""
    named = shorten(str(next(iter(classes.values()))))
    return (
        f"Its config.json names Python code of the repository ({named}). If you have read that "
        "code and trust it, pass trust_remote_code=True."
    )


def _hint_on_age(error: Exception) -> str:
    """What to do where a vendor's Python files ask for what transformers does not have."""
    is_missing_package = "packages that were not found" in str(error)
    is_unknown_class = "Unrecognized configuration class" in str(error)
    kinds = (ImportError, AttributeError, TypeError, NotImplementedError)
    if is_missing_package or not (is_unknown_class or isinstance(error, kinds)):
        return ""
    return (
        "Its Python files may be written for another transformers than the installed "
        f"{transformers.__version__}: look for a newer revision of the repository."
    )


def _hint_on_quantization(folder: Path) -> str:
    settings = _quantization(folder)
    if not settings:
        return ""
    return (
        f"Its weights are quantised (quant_method {shorten(settings.get('quant_method'))}). "
        "Install what is named here, or use the checkpoint that it was quantised from."
    )


def _hint_on_tokenizer(error: Exception) -> str:
    """transformers asks for tiktoken where what it lacks are the readers of sentencepiece files."""
    if not any(library in str(error).lower() for library in ("tiktoken", "sentencepiece")):
        return ""
    return (
        "If its tokenizer is a sentencepiece file (*.model) without tokenizer.json: "
        "pip install sentencepiece protobuf."
    )


def _hint_on_weights(name: str, folder: Path) -> str:
    if any(folder.glob("*.safetensors")):
        return ""
    if "gguf" in name.lower() or any(folder.glob("*.gguf")):
        return (
            "Weights in GGUF form are those of another runtime and are not read here; use the "
            "repository that they were made from, with *.safetensors."
        )
    if any(folder.glob("*.bin")):
        return (
            "Its weights are pickled (*.bin), and such a file can run code when it is read. If you "
            "trust it, pass model_kwargs={'use_safetensors': False}."
        )
    return ""


def _quantization(folder: Path) -> Mapping[str, Any]:
    """quantization_config of config.json, also where it stands in the text model's part."""
    config = read_json(folder / "config.json", default={}) or {}
    parts = (config, config.get("text_config") or {}, config.get("thinker_config") or {})
    for part in parts:
        found = part.get("quantization_config")
        if isinstance(found, Mapping) and found:
            return found
    return {}
