"""What each argument of a public call may be, in one table; anything else is refused by its name.

Taken as the peer takes them: any integer (numpy's, bools), anything with a truth for a flag.
"""

from __future__ import annotations

import functools
import inspect
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from torch import nn
from transformers import PreTrainedConfig

from mmrerank.errors import WrongArgument, shorten
from mmrerank.media import MediaPolicy

__all__ = ["checked_arguments", "read_argument"]

F = TypeVar("F", bound=Callable[..., Any])
Reader = Callable[[Any], Any]

_POOL_KEYS = {"input", "output", "processes"}
_PIXELS = ("min_pixels", "max_pixels")


@dataclass(frozen=True, slots=True)
class _Rule:
    """expected: completes "<name> must be …". read: the value as it is used; raises for others.

    is_optional: None is passed on without being read.
    """

    expected: str
    read: Reader
    is_optional: bool = True


def checked_arguments(function: F) -> F:
    """Read every argument that the table names. Raises WrongArgument with name, value and rule."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # one missing or too many: Python says which
        for name in bound.arguments.keys() & _RULES.keys():
            bound.arguments[name] = read_argument(name, bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    return cast("F", wrapper)


def read_argument(name: str, value: Any) -> Any:
    """The value as it is used. Raises WrongArgument, which is a ValueError and a TypeError."""
    rule = _RULES[name]
    if value is None and rule.is_optional:
        return None
    try:
        return rule.read(value)
    except Exception as error:
        shown = type(value).__name__ if name == "token" else shorten(value)
        raise WrongArgument(f"{name} must be {rule.expected}, got {shown}.") from error


# ------------------------------------------------------------ readers


def _a(*classes: type) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, classes):
            raise TypeError(type(value).__name__)
        return value

    return read


def _count(value: Any) -> int:
    number = operator.index(value)
    if number <= 0:
        raise ValueError(number)
    return number


def _function(value: Any) -> Any:
    # A class is callable too, but calling torch.nn.Sigmoid makes a module and applies nothing.
    if not callable(value) or isinstance(value, type):
        raise TypeError(type(value).__name__)
    return value


def _path_text(value: Any) -> str:
    return cast("str", _a(str)(os.fspath(value)))


def _texts(value: Any) -> list[str]:
    return [_a(str)(item) for item in _a(list, tuple)(value)]


def _instructions(value: Any) -> Any:
    """One text, or an iterable that is left as it is: that of a stream is read as pairs come."""
    if isinstance(value, (bytes, Mapping)):
        raise TypeError(type(value).__name__)
    if not isinstance(value, str):
        iter(value)
    return value


def _prompts(value: Any) -> Mapping[str, str]:
    return {_a(str)(key): _a(str)(text) for key, text in _a(Mapping)(value).items()}


def _options(value: Any) -> Mapping[str, Any]:
    return {
        _a(str)(key): _count(inner) if key in _PIXELS else inner
        for key, inner in _a(Mapping)(value).items()
    }


def _nested_options(value: Any) -> Mapping[str, Any]:
    read = {_a(str)(key): _options(inner) for key, inner in _a(Mapping)(value).items()}
    for options in read.values():
        if options.get("max_length") is not None:
            _count(options["max_length"])
    return read


def _modules(value: Any) -> Any:
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, str) or not isinstance(inner, Iterable):
        raise TypeError(type(value).__name__)
    modules = [_a(nn.Module)(module) for module in inner]
    return value if isinstance(value, Mapping) else modules


def _device(value: Any) -> Any:
    """One device, which is tried when the weights move there, or a list for one process each."""
    return _devices(value) if isinstance(value, list) else _a(str, int, torch.device)(value)


def _devices(value: Any) -> list[Any]:
    devices = [_a(str, int, torch.device)(item) for item in _a(list, tuple)(value)]
    if not devices:
        raise ValueError("none")
    for device in devices:
        torch.device(device)
    return devices


def _pool(value: Any) -> Any:
    if missing := _POOL_KEYS - set(_a(Mapping)(value)):
        raise ValueError(missing)
    return value


def _repository(value: Any) -> str:
    validate_repo_id(value)
    return cast("str", value)


# ------------------------------------------------------------ the table

_TEXT = _Rule("a string", _a(str))
_FLAG = _Rule("True or False", bool)
_PATH = _Rule("a path: a string or os.PathLike", _a(str, os.PathLike))
_COUNT = _Rule("a positive integer", _count)
_OPTIONS = _Rule("a dict of options by name", _options)
_NAMES = _Rule("a list of strings", _texts)
_DEVICES = 'a list of them, such as ["cuda:0", "cuda:1"]'

_RULES: Mapping[str, _Rule] = {
    # scoring
    "prompt": _TEXT,
    "prompt_name": _TEXT,
    "instruction": _Rule("a string or a list of them, one a pair", _instructions),
    "batch_size": _Rule("a positive integer", _count, is_optional=False),
    "chunk_size": _COUNT,
    # Negative numbers and 0 mean what they mean to a slice, as in the peer.
    "top_k": _Rule("an integer", operator.index),
    "show_progress_bar": _FLAG,
    "apply_softmax": _FLAG,
    "convert_to_numpy": _FLAG,
    "convert_to_tensor": _FLAG,
    "return_documents": _FLAG,
    "return_details": _FLAG,
    "calibrated": _FLAG,
    "activation_fn": _Rule("a function of a tensor, such as torch.nn.Sigmoid()", _function),
    "should_stop": _Rule("a function without arguments", _function),
    "on_error": _Rule('"raise" or "record"', _a(str), is_optional=False),
    "device": _Rule(f'a device such as "cpu" or "cuda:0", or {_DEVICES}', _device),
    "target_devices": _Rule(f"devices, {_DEVICES}", _devices),
    "pool": _Rule("what start_multi_process_pool returned", _pool),
    "processing_kwargs": _Rule("a dict of dicts, with positive integers in them", _nested_options),
    # building
    "model_name_or_path": _Rule("a folder or a hub id", _path_text),
    "backend": _Rule('"torch" or "openvino"', _a(str), is_optional=False),
    "modules": _Rule("a list of torch modules, or a dict of them by name", _modules),
    "prompts": _Rule("a dict of strings by name", _prompts),
    "default_prompt_name": _TEXT,
    "cache_folder": _PATH,
    "trust_remote_code": _FLAG,
    "local_files_only": _FLAG,
    "revision": _TEXT,
    "token": _Rule("a string, True or False", _a(str, bool)),
    "model_kwargs": _OPTIONS,
    "processor_kwargs": _OPTIONS,
    "config_kwargs": _OPTIONS,
    "num_labels": _COUNT,
    "max_length": _COUNT,
    "keep_in_fp32_modules": _Rule("a list of module paths", _texts),
    "module_names": _Rule("a list of module paths", _texts, is_optional=False),
    "processor": _PATH,
    "media_policy": _Rule("a MediaPolicy such as MediaPolicy.local()", _a(MediaPolicy)),
    # settings, each of which must be something
    "tokenizer": _Rule("a tokenizer of transformers", _function, is_optional=False),
    "config": _Rule("a config of transformers", _a(PreTrainedConfig), is_optional=False),
    "max_seq_length": _Rule("a positive integer", _count, is_optional=False),
    # saving
    "path": _PATH,
    "model_name": _Rule("a string", _path_text),
    "create_model_card": _FLAG,
    "train_datasets": _NAMES,
    "safe_serialization": _FLAG,
    "repo_id": _Rule("a repository's name, owner/name", _repository, is_optional=False),
    "private": _FLAG,
    "commit_message": _TEXT,
    "local_model_path": _PATH,
    "exist_ok": _FLAG,
    "replace_model_card": _FLAG,
    "create_pr": _FLAG,
    "gradient_checkpointing_kwargs": _OPTIONS,
}
