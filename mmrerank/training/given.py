"""What a trainer is given, checked before anything starts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from mmrerank.errors import InputError, WrongArgument, shorten

__all__ = ["read_arguments", "read_model", "read_prompts"]

logger = logging.getLogger(__name__)


def read_arguments(args: Any, kind: type[Any]) -> Any:
    """The training arguments, made with their defaults for None.

    Raises WrongArgument for arguments of another class.
    """
    if args is None:
        logger.info("no args were given; training with %s(output_dir='tmp_trainer')", kind.__name__)
        return kind(output_dir="tmp_trainer")
    if not isinstance(args, kind):
        raise WrongArgument(f"args must be a {kind.__name__}, not {type(args).__name__}.")
    return args


def read_model(trainer: Any, model: Any, optimizers: tuple[Any, Any]) -> nn.Module:
    """The model, made by the trainer's model_init if there is none.

    Raises WrongArgument for what is no model, InputError when neither is given or an optimizer is
    given for a model that is yet to be made.
    """
    if trainer.model_init is not None and any(one is not None for one in optimizers):
        raise InputError(
            "model_init and optimizers do not go together: the optimizer would hold the parameters "
            "of another model. Use optimizer_cls_and_kwargs."
        )
    if model is None:
        if trainer.model_init is None:
            raise NoModel("the trainer needs a model, or a model_init that makes one.")
        model = trainer.call_model_init()
    elif trainer.model_init is not None:
        logger.warning("model and model_init were given; train() uses the one of model_init")
    if not isinstance(model, trainer.model_class):
        raise WrongArgument(
            f"model must be a {trainer.model_class.__name__}, not {type(model).__name__}."
        )
    made: nn.Module = model
    return made


def read_prompts(args: Any, datasets: Iterable[Any]) -> None:
    """Warn of prompts and routes under a name that no dataset has: they change nothing."""
    for option in ("prompts", "router_mapping"):
        given = getattr(args, option)
        names = {name for dataset in datasets if isinstance(dataset, Mapping) for name in dataset}
        unknown = sorted(set(given) - names) if isinstance(given, Mapping) else []
        if unknown:
            logger.warning(
                "%s=%s: no dataset has the name %s, so it has no effect",
                option,
                shorten(given),
                shorten(unknown),
            )


class NoModel(InputError, RuntimeError):
    """Neither a model nor a way to make one was given; the peer raises RuntimeError."""
