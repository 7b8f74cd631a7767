"""First stage: the towers alone learn to tell the attributes, through heads thrown away later."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .batches import Media
from .world import ATTRIBUTES, Scene, held_out_values

__all__ = ["AttributeHeads", "Labelled"]

Labelled = tuple[Media, Scene | None]


class AttributeHeads(nn.Module):
    """One linear layer for each attribute, and one that tells the world from all else."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {
                f"{kind}_{name}": nn.Linear(3 * hidden_size, len(values))
                for kind, names in ATTRIBUTES.items()
                for name, values in names.items()
            }
        )
        self.in_world = nn.Linear(3 * hidden_size, 1)

    def losses(self, states: Tensor, batch: Sequence[Labelled]) -> dict[str, Tensor]:
        """Return the loss of each attribute.

        states: (num_media_tokens, hidden_size), tower outputs of the media, one after the other
        """
        parts = states.split([media.num_tokens for media, _ in batch])
        # A count of tones is a sum; a corner anywhere is a maximum (with the mean alone shapes
        # took five times as many pictures to learn).
        pooled = torch.stack(
            [torch.cat([part.mean(0), part.amax(0), part.sum(0) / 20]) for part in parts]
        )
        # A clip without a scene is one that changes: also of the world.
        known = torch.tensor([float(bool(scene) or one.kind == "video") for one, scene in batch])
        world = self.in_world(pooled).squeeze(-1)
        losses = {"in_world": nn.functional.binary_cross_entropy_with_logits(world, known)}
        for kind, names in ATTRIBUTES.items():
            at = [i for i, (_, scene) in enumerate(batch) if scene and scene.kind == kind]
            for name, values in names.items() if at else ():
                targets = torch.tensor([values.index(_value(batch[i][1], name)) for i in at])
                logits = self.layers[f"{kind}_{name}"](pooled[at])
                never = [_never(batch[i][1], name, values) for i in at]
                logits = logits.masked_fill(torch.tensor(never), -1e4)
                losses[f"{kind}_{name}"] = nn.functional.cross_entropy(logits, targets)
        return losses


def _never(scene: Scene | None, name: str, values: Sequence[str]) -> list[bool]:
    assert scene is not None
    never = held_out_values(scene, name)
    return [value in never for value in values]


def _value(scene: Scene | None, name: str) -> str:
    assert scene is not None
    return scene[name]
