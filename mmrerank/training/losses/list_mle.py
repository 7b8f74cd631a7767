"""The chance of the right order, all places alike."""

from __future__ import annotations

from typing import Any

from torch import nn

from mmrerank.training.losses.checks import IDENTITY
from mmrerank.training.losses.plist_mle import PListMLELoss

__all__ = ["ListMLELoss"]


class ListMLELoss(PListMLELoss):
    """PListMLELoss without weights. A subclass as in the peer, whose users may ask isinstance."""

    citation = """
@inproceedings{xia2008listwise,
    title={Listwise Approach to Learning to Rank: Theory and Algorithm},
    author={Xia, Fen and Liu, Tie-Yan and Wang, Jue and Zhang, Wensheng and Li, Hang},
    booktitle={Proceedings of the 25th International Conference on Machine Learning},
    pages={1192--1199},
    year={2008},
    doi={10.1145/1390156.1390306}
}
"""

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module | None = IDENTITY,
        mini_batch_size: int | None = None,
        respect_input_order: bool = True,
    ) -> None:
        super().__init__(model, None, activation_fn, mini_batch_size, respect_input_order)

    def get_config_dict(self) -> dict[str, Any]:
        """What model cards tell of this loss."""
        config = super().get_config_dict()
        del config["lambda_weight"]
        return config
