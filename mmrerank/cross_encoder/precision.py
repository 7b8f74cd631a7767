"""Single linear layers that compute in float32 while the model around them is in half precision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError, shorten

__all__ = ["compute_in_fp32"]


class _Float32Linear(nn.Linear):
    """Linear with arithmetic and result in float32; its weights stay as they are stored."""

    def forward(self, states: Tensor) -> Tensor:
        """states: (…, in_features) of any float dtype. Returns float32."""
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast(states.device.type, enabled=False):
            return nn.functional.linear(states.float(), self.weight.float(), bias)


def compute_in_fp32(root: nn.Module, before: Sequence[str], now: Sequence[str]) -> None:
    """Switch the named layers of `root` to float32, and those of `before` that are not named any
    more back.

    Raises InputError for a name that is no plain linear layer.
    """
    if isinstance(now, str) or any(not isinstance(name, str) for name in now):
        raise InputError("keep_in_fp32_modules must be a list of module paths.")
    for name in now:
        module = dict(root.named_modules()).get(name)
        if type(module) not in (nn.Linear, _Float32Linear):
            raise InputError(
                f"keep_in_fp32_modules: {shorten(name)} is no plain nn.Linear layer of this model."
            )
    for name in set(before) | set(now):
        module = root.get_submodule(name)
        module.__class__ = _Float32Linear if name in now else nn.Linear
