"""What the stages minimise, as losses of CrossEncoderTrainer.

Both run the weights of the CrossEncoder themselves: beside the scores they need the towers' output
and the hidden states of whole descriptions, which no scoring pass keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmrerank import CrossEncoder

from .bank import Bank
from .batches import Batch, forward_scores, tower_states
from .fast_towers import use_fast_towers
from .heads import AttributeHeads, Labelled
from .tokenizer import token_id

__all__ = ["Lesson", "PairLoss", "TowerLoss"]


class Lesson(nn.Module):
    """The model's weights and the heads, which are trained with it and not saved with it."""

    def __init__(self, model: CrossEncoder, heads: AttributeHeads) -> None:
        super().__init__()
        self.thinker, self.heads = model.transformers_model, heads
        use_fast_towers(self.thinker)
        # For rows of fifty tokens plain attention takes half the time of the fused kernel here.
        self.thinker.model.language_model.config._attn_implementation = "eager"
        self.thinker.requires_grad_(True)

    @property
    def towers(self) -> tuple[nn.Module, nn.Module]:
        """The picture and the sound tower."""
        return self.thinker.model.visual, self.thinker.model.audio_tower

    def set_progress(self, done: float) -> None:
        """Called before each step. done: share of the stage's steps that are behind."""


class TowerLoss(Lesson):
    """Attributes read from the towers' output; all else stays as it is."""

    def __init__(self, model: CrossEncoder, heads: AttributeHeads) -> None:
        super().__init__(model, heads)
        self.thinker.requires_grad_(False)
        for tower in self.towers:
            tower.requires_grad_(True)

    def forward(self, inputs: list[list[Labelled]], labels: Any = None) -> dict[str, Tensor]:
        """inputs: one column, of DrawMedia. Returns the loss of each attribute."""
        (media,) = inputs
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = tower_states(self.thinker, [one for one, _ in media])
            return self.heads.losses(states, media)


class PairLoss(Lesson):
    """Yes or no for both rows of a pair, a ranking term between them, and two auxiliary losses:
    the description that follows a medium, and the attributes of the media while towers learn.

    frozen_share: share of the steps in which the towers stay as they are.
    """

    def __init__(
        self,
        model: CrossEncoder,
        heads: AttributeHeads,
        bank: Bank,
        *,
        frozen_share: float = 0.45,
        attribute_weight: float = 0.4,
    ) -> None:
        super().__init__(model, heads)
        tokenizer = model.tokenizer
        self.yes_no = (token_id(tokenizer, "yes"), token_id(tokenizer, "no"))
        self.bank = bank
        self.frozen_share, self.attribute_weight = frozen_share, attribute_weight
        self.caption_weight = 0.7

    def set_progress(self, done: float) -> None:
        """Thaw the towers in time; near the end descriptions count for less."""
        self.caption_weight = 0.7 if done < 0.67 else 0.4
        for tower in self.towers:
            tower.requires_grad_(done >= self.frozen_share)

    def forward(self, inputs: list[list[Batch]], labels: Any = None) -> dict[str, Tensor]:
        """inputs: one column, of DrawPairs. Returns the parts of the loss, with their weights."""
        (batches,) = inputs
        num_rows = sum(len(batch.labels) for batch in batches)
        total: dict[str, Tensor] = {}
        for batch in batches:
            for name, part in self._parts(batch).items():
                weighted = part * (len(batch.labels) / num_rows)
                total[name] = total[name] + weighted if name in total else weighted
        return total

    def _parts(self, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores, caption, states = forward_scores(self.thinker, batch, self.yes_no)
        scores = scores.float()
        single = nn.functional.binary_cross_entropy_with_logits(scores, batch.labels)
        ranked = batch.labels[0::2] > batch.labels[1::2]
        between = nn.functional.softplus(scores[1::2] - scores[0::2]) * ranked
        parts = {
            "yes_no": single, "ranking": between.mean(), "caption": self.caption_weight * caption,
        }  # fmt: skip
        if self.attribute_weight and states.requires_grad and len(states):
            parts["attributes"] = self.attribute_weight * self._attributes(states, batch)
        return parts

    def _attributes(self, states: Tensor, batch: Batch) -> Tensor:
        media: Sequence[Labelled] = [(one, self.bank.scene_of.get(id(one))) for one in batch.media]
        return torch.stack(list(self.heads.losses(states, media).values())).sum()
