"""The last layer for the tokens that scores are read from: keys and values of all, the rest of few.

Made of the layer's own submodules; which kind of layer an architecture has is data in
models/architectures.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from mmrerank.engine.absorbed import absorbed_attention_at, can_absorb
from mmrerank.engine.attention import PackedPlan, attention_at
from mmrerank.engine.decoder import (
    decoder_layer,
    dropout_of,
    heads_of,
    rotary_attention,
    rotate,
)
from mmrerank.engine.linear import fast_linear

__all__ = ["LastLayer", "LayerKind", "layers_of"]

LayerKind: TypeAlias = Literal["decoder", "bert", "gte", "modernbert"]
Forward: TypeAlias = Callable[..., Tensor]


class LastLayer:
    """Stands in for a model's last layer while it is read from.

    text_model: asked for its last layer each time, for layers may be replaced. kind: how that is
    put together.
    """

    def __init__(self, text_model: Any, kind: LayerKind) -> None:
        self._text_model = text_model
        self._kind = kind

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within it the layer gives (1, num_read, hidden_size) where a plan names places to read
        at; several threads may run it, each with a plan of its own.
        """
        layer = layers_of(self._text_model, self._kind)[-1]
        layer.forward = partial(_read, layer, _FORWARDS[self._kind])
        try:
            yield
        finally:
            del layer.forward  # the class's own shows again


def layers_of(text_model: Any, kind: LayerKind) -> Sequence[Any]:
    """A text model's layers, the first one first."""
    layers: Sequence[Any] = text_model.encoder.layer if kind == "bert" else text_model.layers
    return layers


def _read(layer: Any, forward: Forward, *args: Any, packed: PackedPlan, **kwargs: Any) -> Any:
    if packed.read_at is None:
        return type(layer).forward(layer, *args, packed=packed, **kwargs)
    return forward(layer, packed.read_at, *args, packed=packed, **kwargs)


def _decoder(
    layer: Any,
    places: Tensor,
    hidden_states: Tensor,
    *_: Any,
    packed: PackedPlan,
    position_embeddings: tuple[Tensor, Tensor],
    **__: Any,
) -> Tensor:
    """See `decoder_layer`."""
    return decoder_layer(layer, hidden_states, packed, position_embeddings, places=places)


def _gte(
    layer: Any,
    places: Tensor,
    hidden_states: Tensor,
    *_: Any,
    packed: PackedPlan,
    position_embeddings: tuple[Tensor, Tensor],
    **__: Any,
) -> Tensor:
    """Attention with rotary positions, residual, norm; MLP, residual, norm."""
    attention = layer.self_attn
    mixed = rotary_attention(attention, places, hidden_states, packed, position_embeddings)
    mixed = layer.post_attention_dropout(attention.o_proj(mixed))
    hidden = hidden_states[:, places] + mixed
    hidden = layer.post_attention_layernorm(hidden)
    result: Tensor = layer.post_mlp_layernorm(hidden + layer.post_mlp_dropout(layer.mlp(hidden)))
    return result


def _bert(
    layer: Any, places: Tensor, hidden_states: Tensor, *_: Any, packed: PackedPlan, **__: Any
) -> Tensor:
    """Attention, residual and norm; MLP, residual and norm."""
    attention = layer.attention.self
    key, value, size = attention.key, attention.value, attention.attention_head_size
    query = heads_of(attention.query(hidden_states[:, places]), size).transpose(1, 2)
    options: Any = {"packed": packed, "dropout": dropout_of(attention)}
    options["scaling"] = attention.scaling
    if can_absorb(places, hidden_states, key, value, packed):
        mixed = absorbed_attention_at(places, query, hidden_states, key, value, **options)
    else:
        mixed = attention_at(
            places,
            attention,
            query,
            heads_of(key(hidden_states), size).transpose(1, 2),
            heads_of(value(hidden_states), size).transpose(1, 2),
            **options,
        )
    hidden = layer.attention.output(mixed.flatten(2), hidden_states[:, places])
    result: Tensor = layer.output(layer.intermediate(hidden), hidden)
    return result


def _modernbert(
    layer: Any,
    places: Tensor,
    hidden_states: Tensor,
    *_: Any,
    packed: PackedPlan,
    position_embeddings: tuple[Tensor, Tensor],
    **__: Any,
) -> Tensor:
    """As `_decoder`, with one joint projection of queries, keys and values."""
    attention = layer.attn
    normed = layer.attn_norm(hidden_states)
    query, key, value = (
        heads_of(states, attention.head_dim).transpose(1, 2)
        for states in _queries_keys_values(attention.Wqkv, normed, places)
    )
    cos, sin = position_embeddings
    mixed = attention_at(
        places,
        attention,
        rotate(query, cos[:, places], sin[:, places]),
        rotate(key, cos, sin),
        value,
        packed=packed,
        dropout=dropout_of(attention),
        scaling=attention.head_dim**-0.5,
        sliding_window=attention.sliding_window,
    )
    hidden = hidden_states[:, places] + attention.out_drop(attention.Wo(mixed.flatten(2)))
    result: Tensor = hidden + layer.mlp(layer.mlp_norm(hidden))
    return result


def _queries_keys_values(
    joint: nn.Module, states: Tensor, places: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries of some places, keys and values of all."""
    if type(joint) is not nn.Linear:  # an adapter around it has more than a weight
        query, key, value = joint(states).chunk(3, dim=-1)
        return query[:, places], key, value
    weights = joint.weight.chunk(3)
    biases = (None,) * 3 if joint.bias is None else joint.bias.chunk(3)
    inputs = (states[:, places], states, states)
    query, key, value = map(fast_linear, inputs, weights, biases)
    return query, key, value


_FORWARDS: dict[LayerKind, Forward] = {
    "decoder": _decoder,
    "bert": _bert,
    "gte": _gte,
    "modernbert": _modernbert,
}
