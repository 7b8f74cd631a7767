"""Activations by name: the short names of processor.toml and the dotted paths that checkpoints
save.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor, nn

from mmrerank.errors import CheckpointError

__all__ = ["Activation", "activation_by_name", "activation_name", "default_activation"]

logger = logging.getLogger(__name__)

Activation: TypeAlias = Callable[[Tensor], Tensor]
_SHORT: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(dim=-1),
}

_MODULE_OF = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}


def default_activation(num_labels: int) -> Activation:
    """Sigmoid for one label, identity for several: the peer's rule."""
    return nn.Sigmoid() if num_labels == 1 else nn.Identity()


def activation_by_name(
    name: str, *, num_labels: int, trust_remote_code: bool = False
) -> Activation:
    """The activation of that short name or dotted path.

    Paths outside torch run code of the checkpoint's choosing: without `trust_remote_code` they are
    replaced by the default, with a warning, as in the peer.
    Raises CheckpointError when a torch path does not exist.
    """
    if not name:
        return default_activation(num_labels)
    if name == "probability":
        return nn.Sigmoid() if num_labels == 1 else nn.Softmax(dim=-1)
    if name in _SHORT:
        return _SHORT[name]()
    if not (name.startswith("torch.") or trust_remote_code):
        logger.warning(
            "the checkpoint names the activation %r, which is no part of torch; using the default "
            "instead. "
            "Pass trust_remote_code=True or activation_fn=... to change that.",
            name,
        )
        return default_activation(num_labels)
    module, _, attribute = name.rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint names the activation {name!r}: {error}") from error
    return _made(found, name)


def _made(found: Any, name: str) -> Activation:
    """Only classes of modules: calling any other thing that a file names could do anything."""
    if isinstance(found, type) and issubclass(found, nn.Module):
        try:
            return found()
        except TypeError as error:
            raise CheckpointError(
                f"the checkpoint names the activation {name!r}, which needs arguments: {error}"
            ) from error
    raise CheckpointError(f"the checkpoint names the activation {name!r}, which is no nn.Module")


def activation_name(activation: Activation) -> str:
    """The dotted path that checkpoints save, as `torch.nn.modules.activation.Sigmoid`.

    A function that torch has a module for is saved as that module, so that readers can make it.
    """
    cls = activation if isinstance(activation, type) else type(activation)
    if not issubclass(cls, nn.Module):
        cls = _MODULE_OF.get(getattr(activation, "__name__", ""), cls)
    return f"{cls.__module__}.{cls.__qualname__}"
