"""Cosine of query and document, each the state of its own token through some linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mmrerank.errors import CheckpointError, InputError
from mmrerank.heads.chain import Dense
from mmrerank.heads.mlp import BETWEEN, dense_of
from mmrerank.specs import HeadSpec

__all__ = ["CosineHead", "make_cosine"]


class CosineHead(nn.Module):
    """The head of listwise models: vectors of a prompt's documents and of its query, compared.

    names: of the layers in the checkpoint's own files, in order.
    """

    num_labels = 1

    def __init__(self, layers: Sequence[Dense], names: Sequence[str]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.names = tuple(names)

    def vectors(self, states: Tensor) -> Tensor:
        """states: (rows, hidden_size). Returns (rows, vector_size) float32."""
        for layer in self._dense:
            states = layer.step(states)
        return states.float()

    def list_logits(self, blocks: Sequence[Tensor]) -> Tensor:
        """Cosines of all documents of a list with its one query vector, (num_documents, 1).

        blocks: of one list, each (num_documents + 1, vector_size), the query's vector last. Of
        several blocks the query vectors are summed up, each weighted by how well the best document
        of its block matches, (1 + cosine) / 2: so a score depends on all documents of the list.
        """
        own = [cosine_similarity(block[:-1], block[-1:], dim=1) for block in blocks]
        if len(blocks) == 1:
            return own[0].unsqueeze(1)
        # A cosine does not change with the length of the sum, so the weights need not add up to 1.
        weights = torch.stack([(1 + cosines.max()) / 2 for cosines in own])
        query = (weights.unsqueeze(1) * torch.stack([block[-1] for block in blocks])).sum(dim=0)
        documents = torch.cat([block[:-1] for block in blocks])
        return cosine_similarity(documents, query.unsqueeze(0), dim=1).unsqueeze(1)

    def named_weights(self) -> dict[str, Tensor]:
        """The weights under the names that they have in the checkpoint's own files."""
        return {
            f"{name}.{key}": tensor
            for name, layer in zip(self.names, self._dense, strict=True)
            for key, tensor in layer.linear.state_dict().items()
        }

    @property
    def _dense(self) -> list[Dense]:
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Refused: the peer's module form scores pairs one by one."""
        raise InputError(
            "a listwise model scores the documents of a query together: use rank() or predict()"
        )

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"names={self.names}"


def make_cosine(
    spec: HeadSpec, layers: Sequence[tuple[Tensor, Tensor | None]], model_name: str
) -> CosineHead:
    """The head of kind "cosine" from the layers that `spec.weights` names.

    layers: (weight, bias or None), weight (out_features, in_features).
    Raises CheckpointError when the layers do not fit each other.
    """
    if spec.between not in BETWEEN:
        raise CheckpointError(f"between={spec.between!r}: allowed are {', '.join(sorted(BETWEEN))}")
    sizes = [tuple(weight.shape) for weight, _ in layers]
    if any(before[0] != after[1] for before, after in pairwise(sizes)):
        shapes = ", ".join(f"{name} {size}" for name, size in zip(spec.weights, sizes, strict=True))
        raise CheckpointError(f"{model_name}: its layers {shapes} (out, in) do not fit each other")
    *inner, last = layers
    made = [dense_of(weight, bias, BETWEEN[spec.between]()) for weight, bias in inner]
    return CosineHead([*made, dense_of(*last, nn.Identity())], spec.weights)
