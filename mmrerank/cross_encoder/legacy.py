"""Old names of arguments, in one table each; every use is announced once a place, with the new
name.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

__all__ = ["INIT_RENAMED", "PREDICT_RENAMED", "init_arguments", "predict_arguments"]

F = TypeVar("F", bound=Callable[..., Any])

INIT_RENAMED: Mapping[str, str] = {
    "model_name": "model_name_or_path",
    "automodel_args": "model_kwargs",
    "tokenizer_args": "processor_kwargs",
    "tokenizer_kwargs": "processor_kwargs",
    "config_args": "config_kwargs",
    "cache_dir": "cache_folder",
    "default_activation_function": "activation_fn",
}
PREDICT_RENAMED: Mapping[str, str] = {"sentences": "inputs", "activation_fct": "activation_fn"}
# Accepted and without effect, as in the peer.
_IGNORED = {
    "predict": ("num_workers",),
    "rank": ("num_workers", "apply_softmax", "convert_to_numpy", "convert_to_tensor"),
}
_POSITIONAL = ("num_labels", "max_length", "activation_fn", "device")


def _warn(text: str) -> None:
    warnings.warn(text, FutureWarning, stacklevel=4)


def _rename(owner: str, kwargs: dict[str, Any], table: Mapping[str, str]) -> None:
    for old, new in table.items():
        if old in kwargs:
            _warn(
                f"The {owner} `{old}` argument was renamed and is now deprecated. Please use "
                f"`{new}` instead."
            )
            value = kwargs.pop(old)
            kwargs.setdefault(new, value)


def init_arguments(function: F) -> F:
    """Old keyword names, positional arguments and `classifier_dropout` of the constructor."""

    @functools.wraps(function)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        for name, value in zip(_POSITIONAL, args[1:], strict=False):
            _warn(
                f"Passing `{name}` as a positional argument to CrossEncoder is deprecated. "
                f"Please use `{name}={value!r}` as a keyword argument instead."
            )
            kwargs[name] = value
        _rename("CrossEncoder", kwargs, INIT_RENAMED)
        if "classifier_dropout" in kwargs:
            _warn(
                "The CrossEncoder `classifier_dropout` argument is deprecated. Please use "
                "`config_kwargs` instead."
            )
            dropout = {"classifier_dropout": kwargs.pop("classifier_dropout")}
            kwargs["config_kwargs"] = {**(kwargs.get("config_kwargs") or {}), **dropout}
        return function(self, *args[:1], **kwargs)

    return cast("F", wrapper)


def predict_arguments(function: F) -> F:
    """Old keyword names of predict and rank, and the ones that have no effect any more."""
    method = function.__name__

    @functools.wraps(function)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        _rename(f"CrossEncoder.{method}", kwargs, PREDICT_RENAMED)
        for name in _IGNORED[method]:
            if kwargs.pop(name, None) is not None:
                _warn(
                    f"The CrossEncoder.{method} `{name}` argument is deprecated and has no effect."
                )
        return function(self, *args, **kwargs)

    return cast("F", wrapper)
