"""Losses and the model they hold."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

__all__ = ["call_loss", "prepare_loss", "put_model_in", "unwrapped"]


def unwrapped(model: Any) -> Any:
    """What DistributedDataParallel, torch.compile and the like were put around."""
    from accelerate.utils import extract_model_from_parallel

    return extract_model_from_parallel(
        model, keep_fp32_wrapper=True, keep_torch_compile=False, recursive=False
    )


def prepare_loss(loss: Any, model: Any) -> nn.Module:
    """A loss on the model's device; a class or function that makes one is called with the model."""
    made = loss if isinstance(loss, nn.Module) else loss(model)
    on_device: nn.Module = made.to(model.device)
    return on_device


def put_model_in(loss: nn.Module, model: Any) -> nn.Module:
    """Let a loss, and losses inside it, hold this model where they hold one of its kind.

    A teacher that a loss keeps under another name stays what it is.
    """
    kind = type(unwrapped(model))
    for name, child in loss.named_children():
        if name == "model" and isinstance(unwrapped(child), kind):
            loss.model = model
        elif not isinstance(unwrapped(child), kind):
            put_model_in(child, model)
    return loss


def call_loss(
    loss: nn.Module, columns: list[Any], labels: Any, *, prompt: str | None, task: str | None
) -> Any:
    """The loss of a batch; prompt and task go to losses whose `forward` takes them."""
    known = inspect.signature(loss.forward).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    options = {
        name: value
        for name, value in (("prompt", prompt), ("task", task))
        if takes_all or name in known
    }
    return loss(columns, labels, **options)
