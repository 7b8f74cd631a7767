"""What vendors' Python files, written for transformers 4, ask of it and no longer find there.

Without this, three published families do not load or, worse, compute with numbers that nobody has
set. Nothing here acts on models of transformers' own, and nothing where transformers has the name.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights
from transformers.models.xlm_roberta import modeling_xlm_roberta

from mmrerank.errors import CheckpointError
from mmrerank.models.vendors_code import is_vendors_class

__all__ = [
    "complete_config",
    "complete_model",
    "needs_tensors",
    "older_names",
    "tensors_while_constructed",
]

_LOCK = threading.RLock()
# Fields that the configs of transformers 4 had, whatever their class.
_CONFIG_FIELDS = {"is_decoder": False, "add_cross_attention": False, "chunk_size_feed_forward": 0}


@contextmanager
def older_names() -> Iterator[None]:
    """While a vendor's files are imported: names that they import and do not need for scores."""
    positions = modeling_xlm_roberta.XLMRobertaEmbeddings.create_position_ids_from_input_ids
    exporter = ModuleType("transformers.onnx")
    vars(exporter)["OnnxConfig"] = type("OnnxConfig", (), {})
    wanted: list[tuple[Any, str, Any]] = [
        (transformers.pytorch_utils, "find_pruneable_heads_and_indices", _cannot_prune),
        (transformers.pytorch_utils, "prune_linear_layer", _cannot_prune),
        (modeling_xlm_roberta, "create_position_ids_from_input_ids", positions),
    ]
    with _LOCK:
        missing = [(where, name) for where, name, _ in wanted if name not in vars(where)]
        for where, name, value in wanted:
            vars(where).setdefault(name, value)
        own = sys.modules.setdefault(exporter.__name__, exporter)
        try:
            yield
        finally:
            for where, name in missing:
                vars(where).pop(name, None)
            if own is exporter:
                sys.modules.pop(exporter.__name__, None)


def needs_tensors(error: Exception) -> bool:
    """Whether a constructor computed with tensors on the device "meta", which have no numbers."""
    return isinstance(error, (RuntimeError, NotImplementedError)) and "meta" in str(error)


@contextmanager
def tensors_while_constructed() -> Iterator[None]:
    """Vendors' models are constructed with parameters on "meta" and everything else in memory."""
    usual = PreTrainedModel.get_init_context.__func__  # type: ignore[attr-defined]

    def contexts(cls: type[PreTrainedModel], *args: Any, **kwargs: Any) -> list[Any]:
        wanted: list[Any] = usual(cls, *args, **kwargs)
        if not is_vendors_class(cls):
            return wanted
        kept = [one for one in wanted if not isinstance(one, torch.device)]
        # What is initialised now counts as done, and would not be once the weights are there.
        return [*kept, _parameters_without_memory(), no_init_weights()]

    with _LOCK:
        PreTrainedModel.get_init_context = classmethod(contexts)  # type: ignore[assignment]
        try:
            yield
        finally:
            PreTrainedModel.get_init_context = classmethod(usual)  # type: ignore[assignment]


def complete_config(config: Any) -> None:
    """Give a vendor's config class the fields that its model's constructor reads."""
    cls = type(config)
    if is_vendors_class(cls):
        for name, value in _CONFIG_FIELDS.items():
            if not hasattr(config, name):
                setattr(cls, name, value)  # of the class: config.json stays as it is


def complete_model(name: str, model: Any) -> None:
    """Methods that a vendor's model calls, and buffers that are not in the checkpoint.

    Raises CheckpointError for one that reads in one direction because a method of its own is no
    longer called.
    """
    classes = {type(module) for module in model.modules() if is_vendors_class(type(module))}
    for cls in classes:
        _refuse_unheard_mask(name, cls)
        if issubclass(cls, PreTrainedModel):
            for method, function in _METHODS.items():
                if not hasattr(cls, method):
                    setattr(cls, method, function)
    _compute_buffers(model)


def _compute_buffers(model: Any) -> None:
    """Set buffers of a vendor's modules that no checkpoint holds: rotations, slopes, positions.

    transformers 5 constructs models without memory and leaves such buffers as it happens to find
    them, except those that its own classes know how to compute.
    """
    places = _unsaved_buffers(model)
    if not places:
        return
    with _LOCK, _parameters_without_memory(), no_init_weights():
        twin = type(model)(copy.deepcopy(model.config))
    computed = _unsaved_buffers(twin)
    with torch.no_grad():
        for place, buffer in places.items():
            if place in computed and computed[place].shape == buffer.shape:
                buffer.copy_(computed[place])


def _unsaved_buffers(model: nn.Module) -> Mapping[str, Tensor]:
    return {
        f"{path}.{name}": buffer
        for path, module in model.named_modules()
        if is_vendors_class(type(module))
        for name, buffer in module.named_buffers(recurse=False)
        if name in module._non_persistent_buffers_set
    }


@contextmanager
def _parameters_without_memory() -> Iterator[None]:
    """In this thread; buffers are computed all the same."""
    register, here = nn.Module.register_parameter, threading.get_ident()

    def without_memory(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        if param is not None and threading.get_ident() == here:
            param = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)
        register(self, name, param)

    with _LOCK:
        nn.Module.register_parameter = without_memory  # type: ignore[method-assign]
        try:
            yield
        finally:
            nn.Module.register_parameter = register  # type: ignore[method-assign]


def _refuse_unheard_mask(name: str, cls: type) -> None:
    takes_mask_away = any(
        "_update_causal_mask" in vars(base) for base in cls.__mro__ if is_vendors_class(base)
    )
    own_forward = next(base for base in cls.__mro__ if "forward" in vars(base))
    if takes_mask_away and not is_vendors_class(own_forward):
        raise CheckpointError(
            f"{name}: {cls.__name__} changes the attention mask in a method that transformers "
            f"{transformers.__version__} no longer calls, so its scores would be wrong. Use a "
            "newer revision of the repository."
        )


def _mask_for_all_heads(
    self: Any, attention_mask: Tensor, input_shape: Any = None, *_: Any, **__: Any
) -> Tensor:
    """(rows, tokens) or (rows, tokens, tokens) of 1 and 0 -> what is added to attention scores."""
    seen = attention_mask[:, None] if attention_mask.dim() == 3 else attention_mask[:, None, None]
    return (1.0 - seen.to(self.dtype)) * torch.finfo(self.dtype).min


def _no_head_mask(self: Any, head_mask: Any, num_hidden_layers: int, *_: Any) -> list[None]:
    return [None] * num_hidden_layers


def _cannot_prune(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("attention heads cannot be taken out with this transformers")


_METHODS: dict[str, Callable[..., Any]] = {
    "get_extended_attention_mask": _mask_for_all_heads,
    "get_head_mask": _no_head_mask,
}
