"""Whether models of a family run in packed or in padded rows, as far as it is known beforehand."""

from __future__ import annotations

from typing import Any

import transformers

from mmrerank.models.architectures import (
    CLASS_FOR,
    NEVER_PACKED,
    PACKED,
    PACKED_WITH_MEDIA,
    RESTATED,
)
from mmrerank.specs import ProcessorSpec

__all__ = ["rows_of"]


def rows_of(spec: ProcessorSpec) -> str:
    """One of "packed", "padded", "tried" (found out when the model is loaded) and "by
    architecture", or several of the first three.
    """
    if spec.model.task == "seq2seq" or (spec.model.remote_code and not _configs(spec)):
        return "padded"
    if not spec.match.model_types and not spec.model.remote_code:
        return "by architecture"
    words = [_of_type(name, spec) for name in _run_types(spec)]
    return " or ".join(dict.fromkeys(words))


def _run_types(spec: ProcessorSpec) -> list[str]:
    """Model types of what runs, which may be another class than config.json names."""
    configs = _configs(spec)
    return [config.model_type for config in configs] or list(spec.match.model_types)


def _configs(spec: ProcessorSpec) -> list[Any]:
    """Of transformers' classes that run in the place of vendors'."""
    names = [RESTATED[name].config for name in spec.match.architectures if name in RESTATED]
    return [getattr(transformers, name) for name in names if hasattr(transformers, name)]


def _of_type(model_type: str, spec: ProcessorSpec) -> str:
    # Of a model with more parts than scores need, one part runs: the type of the same class.
    part = {name for name, cls in CLASS_FOR.items() if cls == CLASS_FOR.get(model_type)}
    names = {model_type, *part}
    if names & NEVER_PACKED:
        return "padded"
    if names & (PACKED | PACKED_WITH_MEDIA):
        return "packed"
    return "tried" if spec.modalities == ("text",) else "padded"
