"""Patches of pictures and clips as a product: what a convolution over its whole input is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from mmrerank.engine.decoder import is_as_made
from mmrerank.engine.linear import fast_linear, forwards_of

__all__ = ["FastPatches"]


class FastPatches:
    """Stands in for the convolutions of towers that are given patch by patch.

    A processor's convolutions take six times as long for them as a product (docs/experiments.md).
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within it inputs of a kernel's size are multiplied; larger ones are convolved."""
        found = [part for part in self._model.modules() if _is_product(part) and is_as_made(part)]
        with forwards_of(found, [_forward(part) for part in found]):
            yield


def _is_product(module: Any) -> bool:
    """Whether it is one where an input is no larger than its kernel."""
    return type(module) in (nn.Conv2d, nn.Conv3d) and (
        set(module.padding) == {0} and set(module.dilation) == {1} and module.groups == 1
    )


def _forward(convolution: Any) -> Callable[[Tensor], Tensor]:
    def forward(patches: Tensor) -> Tensor:
        """(num_patches, channels, *kernel_size) -> (num_patches, dim, 1, 1) or with three ones."""
        is_patch = tuple(patches.shape[2:]) == convolution.kernel_size
        if not is_patch or patches.device.type != "cpu":
            result: Tensor = type(convolution).forward(convolution, patches)
            return result
        weight = convolution.weight.flatten(1)
        product = fast_linear(patches.flatten(1), weight, convolution.bias)
        return product.view(*product.shape, *(1 for _ in convolution.kernel_size))

    return forward
