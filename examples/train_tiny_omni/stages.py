"""CrossEncoderTrainer for losses that learn something themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmrerank.cross_encoder.trainer import CrossEncoderTrainer

from .losses import Lesson

__all__ = ["StageTrainer"]

HEADS_FILE = "heads.pt"


class StageTrainer(CrossEncoderTrainer):
    """Keeps the heads in checkpoints, and treats their gradients as those of the model."""

    loss: Lesson

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices; the names of some norms here would not tell that they are none."""
        return [name for name, parameter in model.named_parameters() if parameter.dim() > 1]

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward pass, after the loss was told how far the stage is."""
        self.loss.set_progress(self.state.global_step / self.state.max_steps)
        return super().training_step(*args, **kwargs)

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        """The losses call the towers on their own, past what averages gradients over processes."""
        if self.args.world_size > 1:
            gradients = [p.grad for p in self.loss.parameters() if p.grad is not None]
            flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
            means = self.accelerator.reduce(flat, "mean")
            parts = means.split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))
        return super()._clip_grad_norm(self.loss)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        folder = Path(output_dir or self.args.output_dir)
        torch.save(self.loss.heads.state_dict(), folder / HEADS_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self.loss.heads.load_state_dict(torch.load(Path(resume_from_checkpoint) / HEADS_FILE))
