"""A decoder's layer, made of its own submodules: for all tokens of a row, or for some alone.

Without gradients, in float32 and on a processor it takes fewer passes over memory than the layer's
own forward: there each pass over a row costs about as much as 40 columns of a product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmrerank.engine.attention import PackedPlan, attention_at, packed_attention

__all__ = [
    "decoder_layer",
    "dropout_of",
    "heads_of",
    "is_as_made",
    "is_watched",
    "rotary_attention",
    "rotate",
    "window_of",
]


def decoder_layer(
    layer: Any,
    hidden: Tensor,
    packed: PackedPlan,
    position_embeddings: tuple[Tensor, Tensor],
    *,
    places: Tensor | None,
) -> Tensor:
    """Norm, attention with rotary positions, residual; norm, MLP, residual.

    hidden: (1, num_tokens, hidden_size). places: (num_places,), the tokens whose states are wanted;
    None for all. Returns (1, num_places or num_tokens, hidden_size).
    """
    mixed = rotary_attention(
        layer.self_attn, places, _normed(layer.input_layernorm, hidden), packed, position_embeddings
    )
    residual = hidden if places is None else hidden[:, places]
    hidden = _plus(layer.self_attn.o_proj, mixed, residual)
    return _plus(layer.mlp, _normed(layer.post_attention_layernorm, hidden), hidden)


def rotary_attention(
    attention: Any,
    places: Tensor | None,
    states: Tensor,
    packed: PackedPlan,
    position_embeddings: tuple[Tensor, Tensor],
) -> Tensor:
    """What the heads see, before it is projected: (1, num_places, num_heads · head_dim)."""
    asking = states if places is None else states[:, places]
    query = heads_of(attention.q_proj(asking), attention.head_dim)
    key = heads_of(attention.k_proj(states), attention.head_dim)
    value = heads_of(attention.v_proj(states), attention.head_dim)
    if isinstance(getattr(attention, "q_norm", None), nn.Module):
        query, key = _normed(attention.q_norm, query), _normed(attention.k_norm, key)
    cos, sin = position_embeddings
    of_query = (cos, sin) if places is None else (cos[:, places], sin[:, places])
    query = rotate(query.transpose(1, 2), *of_query)
    key, value = rotate(key.transpose(1, 2), cos, sin), value.transpose(1, 2)
    options: dict[str, Any] = {
        "packed": packed,
        "dropout": dropout_of(attention),
        "scaling": attention.scaling,
        "sliding_window": window_of(attention),
    }
    if places is None:
        mixed, _ = packed_attention(attention, query, key, value, None, **options)
    else:
        mixed = attention_at(places, attention, query, key, value, **options)
    return mixed.flatten(2)


def window_of(attention: Any) -> int | None:
    """Some architectures ask the config at each call, the others have it decided layer by layer."""
    window: int | None = getattr(
        attention, "sliding_window", getattr(attention.config, "sliding_window", None)
    )
    return window


def dropout_of(attention: Any) -> float:
    """Share of attention weights left out in training, by whichever name a layer has for it."""
    if not attention.training:
        return 0.0
    if hasattr(attention, "attention_dropout"):
        return float(attention.attention_dropout)
    return float(attention.dropout.p)


def heads_of(states: Tensor, head_dim: int) -> Tensor:
    """(1, tokens, heads · head_dim) -> (1, tokens, heads, head_dim)."""
    return states.view(*states.shape[:2], -1, head_dim)


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions. states: (1, heads, tokens, head_dim); cos, sin: (1, tokens, head_dim)."""
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    first, second = states.chunk(2, dim=-1)
    if not _is_plain(states):
        return states * cos + torch.cat([-second, first], dim=-1) * sin
    rotated = states * cos
    rotated_first, rotated_second = rotated.chunk(2, dim=-1)
    sin_first, sin_second = sin.chunk(2, dim=-1)
    rotated_first.sub_(second * sin_first)
    rotated_second.add_(first * sin_second)
    return rotated


def _normed(norm: Any, states: Tensor) -> Tensor:
    """The norm; weight · states / root of the mean square where it is known to be that."""
    epsilon: float | None = getattr(norm, "variance_epsilon", None)
    if epsilon is None or not _is_plain(states, norm.weight) or is_watched(norm):
        result: Tensor = norm(states)
        return result
    length = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
    scale = length.square_().div_(states.shape[-1]).add_(epsilon).rsqrt_()
    scaled: Tensor = (states * scale).mul_(norm.weight)
    return scaled


def _plus(module: Any, states: Tensor, residual: Tensor) -> Tensor:
    """residual + module(states), in one pass where the module's forward of this batch can."""
    plus = getattr(vars(module).get("forward"), "plus", None)
    if plus is None or not _is_plain(states) or is_watched(module):
        summed: Tensor = residual + module(states)
        return summed
    result: Tensor = plus(states, residual)
    return result


def _is_plain(*tensors: Tensor) -> bool:
    """Whether rounding and gradients allow another order of the same arithmetic."""
    return not torch.is_grad_enabled() and all(
        tensor.dtype is torch.float32 and tensor.device.type == "cpu" for tensor in tensors
    )


def is_as_made(module: nn.Module) -> bool:
    """Whether it runs by its class's forward, and nobody looks on."""
    return not is_watched(module) and "forward" not in vars(module)


def is_watched(module: nn.Module) -> bool:
    """Whether hooks see what goes in or comes out."""
    return bool(module._forward_hooks or module._forward_pre_hooks)
