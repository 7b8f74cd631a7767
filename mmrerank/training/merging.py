"""One model out of the weights of several that were trained from the same start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError, MissingExtra, WrongArgument, shorten
from mmrerank.heads import Dense, LayerNorm, LogitScore, Pooling
from mmrerank.models import has_adapter

__all__ = ["MergeOptions", "merge_models"]

M = TypeVar("M", bound=nn.Module)
States = Mapping[int, Mapping[str, Tensor]]

_DTYPES = (None, torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Where a config came from and how its weights are held; the rest must be equal.
_MAY_DIFFER = {"architectures", "transformers_version", "torch_dtype", "dtype"}


@dataclass(frozen=True)
class MergeOptions:
    """How to merge; names and defaults are the peer's.

    parameters: those of the method, as {"weight": [0.6, 0.4]}. dtype: to compute in, None = as
    stored. out_dtype: of the result, None = as computed. base: place of the model that the others
    are differences to, where the method knows one.
    """

    method: str = "linear"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype | str | None = torch.float32
    out_dtype: torch.dtype | str | None = None
    base: int | None = None
    batch_options: Any = None


@torch.no_grad()
def merge_models(models: Sequence[M], options: MergeOptions, device: torch.device) -> M:
    """Merge weight by weight into a copy of the first model; the models stay as they are.

    "linear" is computed here, every other method by mergekit.
    Raises InputError for models that do not match, WrongArgument for a bad option, MissingExtra
    where mergekit is needed and not there.
    """
    if len(models) < 2:
        raise InputError(f"{len(models)} model to merge: two or more are needed")
    for index, model in enumerate(models):
        _check_alike(model, models[0], index)
    states: dict[int, dict[str, Tensor]] = {}
    names: dict[str, str] = {}
    for index, model in enumerate(models):
        states[index], found = _unique_state(model, device)
        if index and found != names:
            raise InputError(f"models[{index}] has other weights, or other tied ones, than model 0")
        names = found
    _check_shapes(states)
    merge = _linear if options.method == "linear" else _with_mergekit
    return _copy_with(models[0], merge(states, options), names).to(device).eval()


# ------------------------------------------------------------ do they match


def _check_alike(model: nn.Module, first: nn.Module, index: int) -> None:
    modules, reference = dict(model.named_modules()), dict(first.named_modules())
    if any(has_adapter(module) for module in modules.values()):
        raise InputError(f"models[{index}] has adapters; call merge_adapter() on it first")
    if modules.keys() != reference.keys():
        raise InputError(f"models[{index}] is put together of other modules than model 0")
    for name, module in modules.items():
        other = reference[name]
        if type(module) is not type(other) or _settings(module) != _settings(other):
            raise InputError(
                f"models[{index}] and model 0 differ in {name or 'the model'} "
                f"({type(module).__name__}, {type(other).__name__}): kind or settings"
            )
    if _vocabulary(model) != _vocabulary(first):
        raise InputError(f"models[{index}] has other tokens in its vocabulary than model 0")


def _settings(module: Any) -> Any:
    """What must be equal beside the weights."""
    from transformers import PreTrainedModel

    if isinstance(module, (LogitScore, Pooling, Dense, LayerNorm)):
        return module.get_config_dict()
    if isinstance(module, PreTrainedModel):
        return {
            key: value
            for key, value in module.config.to_dict().items()
            if key not in _MAY_DIFFER and not key.startswith("_")
        }
    return module.extra_repr()


def _vocabulary(model: Any) -> Any:
    tokenizer = model.tokenizer
    return tokenizer.get_vocab(), tokenizer.special_tokens_map


def _unique_state(
    model: nn.Module, device: torch.device
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each weight once, and for each name the one that its weight is listed under."""
    state: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    first_name: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if tensor.is_meta:
            raise InputError(f"the weight {name} is not in memory; load the model without a meta")
        names[name] = first_name.setdefault(id(tensor), name)
        if names[name] == name:
            state[name] = tensor.detach().to(device)
    return state, names


def _check_shapes(states: States) -> None:
    for index, state in states.items():
        for name, tensor in state.items():
            if tensor.shape != states[0][name].shape:
                shapes = f"{tuple(tensor.shape)} and {tuple(states[0][name].shape)}"
                raise InputError(f"models[{index}] and model 0: {name} is of shapes {shapes}")


# ------------------------------------------------------------ methods


def _linear(states: States, options: MergeOptions) -> dict[str, Tensor]:
    weights, normalize = _linear_parameters(options, len(states))
    dtype, out_dtype = _dtype("dtype", options.dtype), _dtype("out_dtype", options.out_dtype)
    merged = {}
    for name, first in states[0].items():
        tensors = [state[name] for state in states.values()]
        if not first.is_floating_point():
            if not all(torch.equal(tensor, first) for tensor in tensors):
                raise InputError(f"the buffer {name} holds whole numbers, and they differ")
            merged[name] = first
            continue
        held = dtype or _promoted(tensors)
        wide = torch.float64 if held == torch.float64 else torch.float32
        total = torch.zeros_like(first, dtype=wide)
        for tensor, weight in zip(tensors, weights, strict=True):
            total.add_(tensor.to(held).to(wide), alpha=weight)
        total = total / sum(weights) if normalize else total
        merged[name] = total.to(out_dtype or held)
    return merged


def _promoted(tensors: Sequence[Tensor]) -> torch.dtype:
    dtype = tensors[0].dtype
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def _linear_parameters(options: MergeOptions, num_models: int) -> tuple[list[float], bool]:
    parameters = dict(options.parameters)
    weight = parameters.pop("weight", 1.0)
    normalize = parameters.pop("normalize", True)
    if options.base is not None:
        raise InputError("method 'linear' does not use a base_model")
    if parameters:
        raise WrongArgument(
            f"parameters of 'linear' are weight and normalize, not {shorten(list(parameters))}"
        )
    if isinstance(weight, Mapping):
        weight = [weight.get(index, 1.0) for index in range(num_models)]
    given = [weight] * num_models if isinstance(weight, (int, float)) else list(weight)
    if len(given) != num_models or not all(isinstance(item, (int, float)) for item in given):
        raise WrongArgument(
            f"weight={shorten(given)}: {num_models} numbers are needed, one a model"
        )
    weights = [float(item) for item in given]
    if normalize and sum(weights) == 0:
        raise InputError(f"weight={shorten(given)} sums to 0, so it cannot be normalized")
    return weights, bool(normalize)


def _with_mergekit(states: States, options: MergeOptions) -> dict[str, Tensor]:
    try:
        from mergekit.merge_methods import BasePolicy, merge_state_dicts
        from mergekit.merge_methods import get as get_method
    except ImportError as error:
        raise MissingExtra(
            f"method={shorten(options.method)} is mergekit's: pip install 'mergekit>=0.1.5'. "
            "Only 'linear' needs nothing more."
        ) from error
    try:
        method = get_method(options.method)
        if options.base is not None and method.spec.contract.base == BasePolicy.IGNORED:
            raise InputError(f"method {shorten(options.method)} does not use a base_model")
        base = 0 if options.base is None and options.method == "slerp" else options.base
        parameters = dict(options.parameters)
        if any(parameter.name == "weight" for parameter in method.spec.parameters):
            parameters.setdefault("weight", 1.0)
        if options.method == "slerp":
            parameters.setdefault("t", 0.5)
        merged: dict[str, Tensor] = merge_state_dicts(
            states,
            method,
            base=base,
            parameters=parameters,
            dtype=_dtype("dtype", options.dtype),
            out_dtype=_dtype("out_dtype", options.out_dtype),
            batch_options=options.batch_options,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WrongArgument(f"method={shorten(options.method)}: {error}") from error
    return merged


def _dtype(name: str, value: torch.dtype | str | None) -> torch.dtype | None:
    found = vars(torch).get(value) if isinstance(value, str) else value
    if (value is not None and found is None) or found not in _DTYPES:
        raise InputError(f"{name}={shorten(value)}: None, float16, bfloat16, float32 or float64")
    return found


def _copy_with(model: M, merged: Mapping[str, Tensor], names: Mapping[str, str]) -> M:
    """A copy of the model with these weights; its own ones are never copied."""
    memo: dict[int, Any] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in memo:
            continue
        value = merged[names[name]].clone()
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(value, tensor.requires_grad) if is_parameter else value
    return deepcopy(model, memo)
