"""Whether a model's weights are still those that something was computed with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["fingerprint"]


def fingerprint(model: nn.Module) -> tuple[Any, ...] | None:
    """Differs after any change of weights, adapters, numbers or device; costs microseconds each.

    torch counts each in-place change of a tensor (`_version`), and a tensor put in its place has
    another address or another count. Changes through `.data`, numpy views or memory that was given
    out twice are not counted: one number of each weight is read to see those.
    None where a change would not be seen: in train mode, and for weights made in inference mode.
    """
    parameters = list(model.parameters())
    if model.training or any(parameter.is_inference() for parameter in parameters):
        return None
    # Buffers that a forward pass computes anew, such as rotary frequencies, are inference tensors.
    tensors = [*parameters, *(buffer for buffer in model.buffers() if not buffer.is_inference())]
    states = tuple(
        (tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device) for tensor in tensors
    )
    return (_adapters(model), states, _samples(parameters))


def _samples(parameters: Iterable[Tensor]) -> tuple[float, ...]:
    """The number in the middle of each tensor, read at once from each device."""
    alike: dict[Any, list[Tensor]] = {}
    for tensor in parameters:
        if tensor.numel() and tensor.device.type != "meta":
            middle = tensor.storage_offset() + tensor.numel() // 2
            one = tensor.detach().as_strided((1,), (1,), middle)
            alike.setdefault((tensor.device, tensor.dtype), []).append(one)
    return tuple(number for ones in alike.values() for number in torch.cat(ones).double().tolist())


def _adapters(model: nn.Module) -> tuple[Any, ...]:
    """Which adapters of PEFT are in force, layer by layer; () without any."""
    layers: list[Any] = [module for module in model.modules() if hasattr(module, "merged_adapters")]
    return tuple(
        (
            tuple(layer.active_adapters),
            layer.disable_adapters,
            tuple(layer.merged_adapters),
            tuple(sorted(getattr(layer, "scaling", {}).items())),
        )
        for layer in layers
    )
