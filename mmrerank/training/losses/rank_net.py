"""Pairs of documents in the wrong order, all alike."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from mmrerank.training.losses.checks import IDENTITY
from mmrerank.training.losses.lambda_loss import LambdaLoss
from mmrerank.training.losses.lambda_weighting import NoWeightingScheme

__all__ = ["RankNetLoss"]


class RankNetLoss(LambdaLoss):
    """LambdaLoss without weights. A subclass as in the peer, whose users may ask isinstance."""

    citation = """
@inproceedings{burges2005learning,
    title={Learning to Rank Using Gradient Descent},
    author={Burges, Chris and Shaked, Tal and Renshaw, Erin and Lazier, Ari and Deeds, Matt and
        Hamilton, Nicole and Hullender, Greg},
    booktitle={Proceedings of the 22nd International Conference on Machine Learning},
    pages={89--96},
    year={2005}
}
"""

    def __init__(
        self,
        model: Any,
        k: int | None = None,
        sigma: float = 1.0,
        eps: float = 1e-10,
        reduction_log: Literal["natural", "binary"] = "binary",
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__(
            model,
            NoWeightingScheme(),
            k=k,
            sigma=sigma,
            eps=eps,
            reduction_log=reduction_log,
            activation_fn=activation_fn,
            mini_batch_size=mini_batch_size,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        config = super().get_config_dict()
        del config["weighting_scheme"]
        return config
