"""Several training processes that agree on gradients and on the clock."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as distributed
from torch import Tensor

__all__ = ["Team"]


class Team:
    """One member of a group of processes on this machine."""

    def __init__(self, rank: int, num_members: int, port: int) -> None:
        self.rank, self.num_members = rank, num_members
        if num_members > 1:
            distributed.init_process_group(
                "gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=num_members
            )

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over the members."""
        if self.num_members == 1:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.num_members
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def agree(self, seconds: float) -> float:
        """Return the first member's clock, so that all stop and slow down together."""
        if self.num_members == 1:
            return seconds
        clock = torch.tensor([seconds], dtype=torch.float64)
        distributed.broadcast(clock, 0)
        return float(clock)
