"""Matrix products on processors by the quicker of the libraries that torch carries."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

__all__ = ["fast_linear"]

# Below so many rows the two are alike, and some heads have a single row.
_LEAST_ROWS = 16


def fast_linear(device: Any) -> AbstractContextManager[object]:
    """Within it, and in this thread, float32 linear layers on a processor run by oneDNN.

    torch calls MKL for them, which on processors with AVX-512 is up to a sixth slower
    (docs/experiments.md). Sums are added in another order: results differ by some 1e-7 of them.
    Without gradients only.
    """
    is_better = torch.device(device).type == "cpu" and _has_onednn()
    return _OneDNN() if is_better else nullcontext()


@cache
def _has_onednn() -> bool:
    library: Any = torch.backends.mkldnn
    has_op = library.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_op and torch.backends.cpu.get_cpu_capability() == "AVX512"


class _OneDNN(TorchFunctionMode):
    """Stands between the model's modules and torch's `linear`: no module is changed."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is linear and not kwargs and _is_plain(*args[:2]):
            states, weight = args[:2]
            bias = args[2] if len(args) > 2 else None
            return torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
        return func(*args, **(kwargs or {}))


def _is_plain(states: torch.Tensor, weight: torch.Tensor) -> bool:
    return (
        states.dtype is torch.float32
        and weight.dtype is torch.float32
        and states.numel() >= _LEAST_ROWS * weight.shape[-1]
        and not torch.is_grad_enabled()
    )
