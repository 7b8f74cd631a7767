"""A small network on the state of the last token, put together from the modules of a chain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mmrerank.errors import CheckpointError
from mmrerank.heads.chain import Dense, Pooling
from mmrerank.specs import HeadSpec

__all__ = ["BETWEEN", "dense_of", "make_mlp"]

BETWEEN: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


def make_mlp(
    spec: HeadSpec, layers: Sequence[tuple[Tensor, Tensor | None]], model_name: str
) -> list[nn.Module]:
    """Pooling of the last token, then a Dense for each layer; the last one writes the logits.

    They are modules that sentence-transformers knows as well, so a saved model scores there. The
    spec's bias and divisor stand in the last layer's weights.
    layers: (weight, bias or None), weight (out_features, in_features).
    Raises CheckpointError when the layers do not fit each other or do not end in one logit.
    """
    if spec.between not in BETWEEN:
        raise CheckpointError(f"between={spec.between!r}: allowed are {', '.join(sorted(BETWEEN))}")
    sizes = [tuple(weight.shape) for weight, _ in layers]
    fits = all(before[0] == after[1] for before, after in pairwise(sizes))
    if not fits or sizes[-1][0] != 1:
        shapes = ", ".join(f"{name} {size}" for name, size in zip(spec.weights, sizes, strict=True))
        raise CheckpointError(
            f"{model_name}: its layers {shapes} (out, in) do not make one logit of a state"
        )
    *inner, last = layers
    return [
        Pooling(sizes[0][1], pooling_mode="lasttoken"),
        *(dense_of(weight, bias, BETWEEN[spec.between]()) for weight, bias in inner),
        _last(*last, spec),
    ]


def dense_of(
    weight: Tensor, bias: Tensor | None, activation: nn.Module, output_name: str | None = None
) -> Dense:
    # Float32 whatever the model computes in: the head is small, and a logit in half precision
    # moves in steps.
    dense = Dense(
        weight.shape[1],
        weight.shape[0],
        bias=bias is not None,
        activation_function=activation,
        module_output_name=output_name,
    )
    with torch.no_grad():
        dense.linear.weight.copy_(weight)
        if bias is not None:
            dense.linear.bias.copy_(bias)
    return dense


def _last(weight: Tensor, bias: Tensor | None, spec: HeadSpec) -> Dense:
    own = torch.zeros(len(weight)) if bias is None else bias.float()
    folded = (own + spec.bias) / spec.divide
    return dense_of(weight.float() / spec.divide, folded, nn.Identity(), "scores")
