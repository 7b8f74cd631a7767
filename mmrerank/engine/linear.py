"""A model's linear layers on processors by oneDNN, their weights in the order that it reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from time import perf_counter
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, silu

__all__ = ["Activation", "FastLinear", "FastLinears", "fast_linear", "forwards_of", "is_helped"]

# GELU exactly, GELU by tanh, SiLU: what oneDNN computes within a product, and torch behind it.
Activation: TypeAlias = Literal["gelu", "gelu_tanh", "silu"]

# Below so many rows the libraries are alike, and some heads have a single row.
_LEAST_ROWS = 16

_HALVES = (torch.bfloat16, torch.float16)
# To widen what goes in and to round what comes out takes a tenth of a product.
_CLEARLY = 1.25
_NUM_TRIALS = 12


_ACTIVATIONS: dict[Activation, tuple[str, str, Callable[[Tensor], Tensor]]] = {
    "gelu": ("gelu", "none", gelu),
    "gelu_tanh": ("gelu", "tanh", partial(gelu, approximate="tanh")),
    "silu": ("swish", "", silu),
}


class FastLinear:
    """A linear layer's forward. ordered: its weight in oneDNN's order; None for as it is."""

    def __init__(self, layer: nn.Linear, ordered: Tensor | None) -> None:
        self._layer = layer
        self._ordered = ordered

    def __call__(self, states: Tensor) -> Tensor:
        """The product alone."""
        return fast_linear(states, self._layer.weight, self._layer.bias, self._ordered)

    def then(self, states: Tensor, activation: Activation) -> Tensor:
        """The activation of the product, in one pass."""
        weight, bias = self._layer.weight, self._layer.bias
        name, variant, by_torch = _ACTIVATIONS[activation]
        if not _is_quicker(states, weight):
            return by_torch(linear(states, weight, bias))
        result: Tensor = torch.ops.mkldnn._linear_pointwise.default(
            states, self._given, bias, name, [], variant
        )
        return result

    def plus(self, states: Tensor, added: Tensor) -> Tensor:
        """The product and what is added to it, in one pass."""
        if not _is_quicker(states, self._layer.weight):
            return linear(states, self._layer.weight, self._layer.bias) + added
        return self._with(states, added, "add")

    def times(self, states: Tensor, factors: Tensor) -> Tensor:
        """The product, number by number times factors of its shape, in one pass."""
        if not _is_quicker(states, self._layer.weight):
            return linear(states, self._layer.weight, self._layer.bias) * factors
        return self._with(states, factors, "mul")

    def _with(self, states: Tensor, other: Tensor, operation: str) -> Tensor:
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            states, other, self._given, self._layer.bias, operation
        )
        return result

    @property
    def _given(self) -> Tensor:
        return self._layer.weight if self._ordered is None else self._ordered


class FastLinears:
    """Stands in for the linear layers of a model while it runs without gradients.

    torch calls MKL for float32, which on processors with AVX-512 is up to a sixth slower, and lets
    oneDNN bring weights into its own order at each call, a twentieth of the time of a short row
    (docs/experiments.md). Sums are added in another order: results differ by some 1e-7 of them.

    max_bytes: of weights that are kept in that order beside the model's own. A model with more is
    run by its own weights.
    """

    def __init__(self, model: nn.Module, max_bytes: int) -> None:
        self._model = model
        self._max_bytes = max_bytes
        # Which weight each was made of tells whether it still holds.
        self._ordered: dict[nn.Linear, tuple[Any, Tensor]] = {}

    @property
    def num_bytes(self) -> int:
        """Bytes of the weights that are held in oneDNN's order."""
        return sum(map(_num_bytes, self._ordered))

    def clear(self) -> None:
        """Forget all weights, for changes that torch does not count."""
        self._ordered.clear()

    @contextmanager
    def installed(self, device: Any) -> Iterator[None]:
        """Within it each layer's forward is a FastLinear, whichever thread calls it."""
        layers = self._layers() if torch.device(device).type == "cpu" else []
        fits = sum(map(_num_bytes, layers)) <= self._max_bytes
        may_order = fits and _has_onednn()
        forwards = [
            FastLinear(layer, self._ordered_weight(layer) if may_order else None)
            for layer in layers
        ]
        with forwards_of(layers, forwards):
            yield

    def _layers(self) -> list[nn.Linear]:
        """What is no more than a product: a subclass, or a layer with a forward of its own, is."""
        return [
            module
            for module in self._model.modules()
            if type(module) is nn.Linear
            and "forward" not in module.__dict__
            and is_helped(module.weight.dtype)
            and module.weight.device.type == "cpu"
        ]

    def _ordered_weight(self, layer: nn.Linear) -> Tensor | None:
        weight = layer.weight
        if weight.is_inference() or not weight.is_contiguous():  # changes would not be counted
            return None
        made_of = weight.data_ptr(), weight._version, weight.dtype
        known = self._ordered.get(layer)
        if known is None or known[0] != made_of:
            with torch.inference_mode():
                given = weight.detach()
                if _is_widened(weight.dtype):
                    given = given.float()
                known = made_of, torch.ops.mkldnn._reorder_linear_weight(given)
            self._ordered[layer] = known
        return known[1]

    def __reduce__(self) -> tuple[type[FastLinears], tuple[nn.Module, int]]:
        return FastLinears, (self._model, self._max_bytes)


@contextmanager
def forwards_of(
    modules: Sequence[nn.Module], forwards: Iterable[Any], *, name: str = "forward"
) -> Iterator[None]:
    """Within it modules have these methods: an attribute of its own hides a class's."""
    for module, forward in zip(modules, forwards, strict=True):
        module.__dict__[name] = forward
    try:
        yield
    finally:
        for module in modules:
            module.__dict__.pop(name, None)


def fast_linear(
    states: Tensor, weight: Tensor, bias: Tensor | None, ordered: Tensor | None = None
) -> Tensor:
    """torch's `linear`, by oneDNN or in float32 where that is quicker.

    ordered: the weight in oneDNN's order, and in float32 where that is how it is multiplied.
    """
    if not _is_quicker(states, weight):
        return linear(states, weight, bias)
    if not _is_widened(weight.dtype):
        return _by_onednn(states, weight if ordered is None else ordered, bias)
    wide_bias = None if bias is None else bias.float()
    if ordered is None:
        product = linear(states.float(), weight.float(), wide_bias)
    else:
        product = _by_onednn(states.float(), ordered, wide_bias)
    return product.to(states.dtype)


def _by_onednn(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    operation: Any = torch.ops.mkldnn._linear_pointwise.default
    result: Tensor = operation(states, weight, bias, "none", [], "")
    return result


def _is_quicker(states: Tensor, weight: Tensor) -> bool:
    return (
        is_helped(weight.dtype)
        and weight.dtype is states.dtype
        and states.numel() >= _LEAST_ROWS * weight.shape[1]
        and states.device.type == "cpu"
        and not torch.is_grad_enabled()
    )


def _has_onednn() -> bool:
    library: Any = torch.backends.mkldnn
    has_op = library.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_op and torch.backends.cpu.get_cpu_capability() == "AVX512"


def _is_widened(dtype: torch.dtype) -> bool:
    return dtype in _HALVES and dtype in _widened()


def _num_bytes(layer: nn.Linear) -> int:
    """Of its weight in the order and the precision that it is multiplied in."""
    weight = layer.weight
    return 4 * weight.numel() if _is_widened(weight.dtype) else weight.nbytes


@cache
def is_helped(dtype: torch.dtype) -> bool:
    """Whether products of such weights are quicker on this processor than torch's `linear`."""
    if dtype is torch.float32:
        return _has_onednn()
    if dtype not in _HALVES:
        return False
    has_bfloat16 = _has_onednn() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype in _widened() or (dtype is torch.bfloat16 and has_bfloat16)


@cache
def _widened() -> frozenset[torch.dtype]:
    """Half precision that this processor multiplies quicker when it is made float32 first.

    Many have no units for it, and some have slow ones. Each product is rounded as before: its sums
    are float32 either way.
    """
    least_s = dict.fromkeys((torch.float32, *_HALVES), math.inf)
    for _ in range(_NUM_TRIALS):  # in turns, so that what else runs slows them all
        for dtype, before_s in least_s.items():
            least_s[dtype] = min(before_s, _time_of_product(dtype))
    return frozenset(
        dtype for dtype in _HALVES if least_s[dtype] > _CLEARLY * least_s[torch.float32]
    )


def _time_of_product(dtype: torch.dtype) -> float:
    """Seconds."""
    with torch.inference_mode():
        states, weight = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
        start_s = perf_counter()
        linear(states, weight)
        return perf_counter() - start_s
