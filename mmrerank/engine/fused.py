"""Layers with fewer passes over memory: what follows a product is done within it.

For the time of a batch activations, gates and residuals become parts of oneDNN's products. How the
layers and MLPs of an architecture are put together is data in models/architectures.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers.activations import GELUTanh, SiLUActivation

from mmrerank.engine.decoder import decoder_layer, is_as_made, is_watched
from mmrerank.engine.last_layer import layers_of
from mmrerank.engine.linear import Activation, FastLinear, FastLinears, forwards_of
from mmrerank.models.architectures import MLPS

__all__ = ["FastForwards", "Fused", "FusedBerts", "FusedDecoders", "FusedMLP", "FusedMLPs"]


# As quick as whole rows (docs/experiments.md).
_PIECE_TOKENS = 512


class Fused(Protocol):
    """Parts of a model that run in another way within `installed`."""

    def installed(self) -> AbstractContextManager[None]:
        """Within it, and within `FastLinears.installed`, parts run so; others as they are."""


class FastForwards:
    """What stands in for a model's own forwards while it runs without gradients."""

    def __init__(self, linears: FastLinears, *fused: Fused) -> None:
        self.linears = linears
        self._fused = fused

    @contextmanager
    def installed(self, device: Any) -> Iterator[None]:
        """Within it the model's parts run so, whichever thread calls them."""
        with ExitStack() as stack:
            stack.enter_context(self.linears.installed(device))
            for fused in self._fused:
                stack.enter_context(fused.installed())
            yield


class FusedBerts:
    """text_model: an encoder whose layers are of the kind "bert" (last_layer.py)."""

    def __init__(self, text_model: Any) -> None:
        self._text_model = text_model

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within it, and within `FastLinears.installed`, layers run so; others stay as they are."""
        found = {
            part: forward
            for layer in layers_of(self._text_model, "bert")
            for part, forward in (
                (layer.intermediate, _then_gelu(layer.intermediate)),
                (layer.attention.output, _plus_residual(layer.attention.output)),
                (layer.output, _plus_residual(layer.output)),
            )
            if forward is not None
        }
        in_pieces = [
            layer
            for layer in layers_of(self._text_model, "bert")
            if "feed_forward_chunk" not in vars(layer)
            and all(
                part in found and not is_watched(part)
                for part in (layer.intermediate, layer.output)
            )
        ]
        with (
            forwards_of(list(found), list(found.values())),
            forwards_of(in_pieces, map(_bert_mlp, in_pieces), name="feed_forward_chunk"),
        ):
            yield


def _bert_mlp(layer: Any) -> Callable[[Tensor], Tensor]:
    return lambda states: _in_pieces(
        lambda part: layer.output(layer.intermediate(part), part), states
    )


def _then_gelu(part: Any) -> Any:
    """Forward of a product and GELU; None where it is something else."""
    act: Any = part.intermediate_act_fn
    if not _is_fusible(part, part.dense) or getattr(act, "act", None) is not gelu:
        return None
    product: FastLinear = part.dense.forward
    return lambda states: product.then(states, "gelu")


def _plus_residual(part: Any) -> Any:
    """Forward of a product, the residual and a norm; None where dropout or more stands between."""
    if not _is_fusible(part, part.dense):
        return None

    def forward(states: Tensor, residual: Tensor) -> Tensor:
        result: Tensor = part.LayerNorm(part.dense.forward.plus(states, residual))
        return result

    return forward


class FusedDecoders:
    """text_model: one whose layers are of the kind "decoder" (last_layer.py)."""

    def __init__(self, text_model: Any) -> None:
        self._text_model = text_model

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within it, and within `FastLinears.installed`, layers run so; others stay as they are."""
        found = [
            layer
            for layer in layers_of(self._text_model, "decoder")
            if _is_fusible(layer, layer.self_attn.q_proj, layer.self_attn.o_proj)
            and is_as_made(layer.self_attn)
        ]
        with forwards_of(found, [_decoder_forward(layer) for layer in found]):
            yield


def _decoder_forward(layer: Any) -> Any:
    def forward(hidden_states: Tensor, *_: Any, **given: Any) -> Tensor:
        return decoder_layer(
            layer, hidden_states, given["packed"], given["position_embeddings"], places=None
        )

    return forward


class FusedMLPs:
    """The MLPs of a model, towers and language model, that `MLPS` lists."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within it, and within `FastLinears.installed`, MLPs run so; others stay as they are."""
        found = {
            mlp: forward
            for mlp in self._model.modules()
            for forward in [_fused_mlp(mlp)]
            if forward is not None
        }
        with forwards_of(list(found), list(found.values())):
            yield


class FusedMLP:
    """An MLP's forward: outer(activation(inner(states))), or outer(activation(gate) · inner)."""

    def __init__(
        self,
        inner: FastLinear,
        outer: FastLinear,
        activation: Activation,
        gate: FastLinear | None = None,
    ) -> None:
        self._inner, self._outer, self._gate = inner, outer, gate
        self._activation = activation

    def __call__(self, states: Tensor) -> Tensor:
        """The MLP alone."""
        return _in_pieces(lambda part: self._outer(self._within(part)), states)

    def plus(self, states: Tensor, added: Tensor) -> Tensor:
        """The MLP and what is added to it."""
        return _in_pieces(
            lambda *both: self._outer.plus(self._within(both[0]), both[1]), states, added
        )

    def _within(self, states: Tensor) -> Tensor:
        if self._gate is None:
            return self._inner.then(states, self._activation)
        return self._inner.times(states, self._gate.then(states, self._activation))


def _in_pieces(mlp: Callable[..., Tensor], *given: Tensor) -> Tensor:
    """An MLP, a few tokens at a time: most of a batch's memory is for its widest activations, and
    pieces of one size fit where an allocator had those of the layer and the batch before.

    given: (…, num_tokens, size) each.
    """
    if given[0].shape[-2] <= _PIECE_TOKENS:
        return mlp(*given)
    pieces = zip(*(torch.split(part, _PIECE_TOKENS, dim=-2) for part in given), strict=True)
    return torch.cat([mlp(*piece) for piece in pieces], dim=-2)


def _fused_mlp(mlp: Any) -> FusedMLP | None:
    parts = MLPS.get(type(mlp).__name__)
    # A vendor's class of the same name may compute something else.
    if parts is None or not type(mlp).__module__.startswith("transformers.models."):
        return None
    names = [parts.inner, parts.outer, *([parts.gate] if parts.gate else [])]
    linears = [getattr(mlp, name) for name in names]
    activation = _activation_of(getattr(mlp, parts.act))
    if activation is None or not _is_fusible(mlp, *linears):
        return None
    inner, outer, *gate = [linear.forward for linear in linears]
    return FusedMLP(inner, outer, activation, *gate)


def _activation_of(module: Any) -> Activation | None:
    if is_watched(module):
        return None
    if isinstance(module, (nn.SiLU, SiLUActivation)):
        return "silu"
    return "gelu_tanh" if isinstance(module, GELUTanh) else None


def _is_fusible(part: nn.Module, *products: Any) -> bool:
    """Whether nobody wants to see, or to change, what lies between the two."""
    if part.training or "forward" in vars(part):
        return False
    return all(
        isinstance(vars(product).get("forward"), FastLinear)
        # In half precision one rounding less would show in scores, and little would be gained.
        and product.weight.dtype is torch.float32
        and not is_watched(product)
        for product in products
    )
