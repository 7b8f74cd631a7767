"""Attention of tokens that all see each other, on a processor: products, exponentials, products.

torch's kernel goes over the keys piece by piece and rescales what it has when a larger logit comes,
in products of 32 rows. Here a segment's logits are computed at once, and their exponentials as they
are: without the largest one subtracted, which cancels out of a softmax anyway. What float32 cannot
hold so is seen in the sums and left to torch.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

__all__ = ["FullAttention"]

# With fewer tokens the calls cost more than they save; with more logits (16 MiB) memory does.
_LEAST_TOKENS = 24
_MAX_LOGITS = 1 << 22

# Sums of exponentials between these are as exact as those of a usual softmax: what is too small
# for float32 is less than 1e-8 of its sum, and a weighted sum of values stays below 3e38.
_LEAST_SUM, _MOST_SUM = 1e-30, 1e30

_NOTHING = torch.zeros(())  # what a product is added to


class FullAttention:
    """Remembers the layers whose logits are too large for it; several threads may share it."""

    def __init__(self) -> None:
        self._left_out: WeakSet[Any] = WeakSet()

    def __call__(
        self,
        module: Any,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        scaling: float | None,
        output: Tensor,
    ) -> bool:
        """Fill the output; False where torch's kernel shall do it.

        module: the layer's attention. query, keys, values: (1, num_heads, num_tokens, head_dim).
        output: (1, num_heads, num_tokens, head_dim), written to.
        """
        if module in self._left_out or not _is_suited(query, keys):
            return False
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        logits = torch.baddbmm(_NOTHING, query[0], keys[0].transpose(1, 2), beta=0, alpha=scale)
        weights = logits.exp_()
        sums = weights.sum(dim=-1, keepdim=True)
        least, most = torch.aminmax(sums)
        if not (least > _LEAST_SUM and most < _MOST_SUM):
            self._left_out.add(module)
            return False
        torch.div(torch.bmm(weights, values[0]), sums, out=output[0])
        return True

    def __reduce__(self) -> tuple[type[FullAttention], tuple[()]]:
        return FullAttention, ()


def _is_suited(query: Tensor, keys: Tensor) -> bool:
    _, num_heads, num_tokens, _ = query.shape
    return (
        query.device.type == "cpu"
        and query.dtype is torch.float32
        and not torch.is_grad_enabled()
        and keys.shape[1] == num_heads
        and num_tokens >= _LEAST_TOKENS
        and num_heads * num_tokens * keys.shape[2] <= _MAX_LOGITS
    )
