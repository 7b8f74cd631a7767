"""Callbacks of the trainer and of `fit`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback
from transformers.integrations.integration_utils import TrackioCallback, WandbCallback

__all__ = [
    "EvaluatorCallback",
    "OriginalCallback",
    "SaveModelCallback",
    "ZeroGradCallback",
    "name_project",
]


class ZeroGradCallback(TrainerCallback):
    """Clears gradients of a loss's own parameters; transformers clears those of the model."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kwargs["optimizer"].zero_grad()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        kwargs["optimizer"].zero_grad()


class SaveModelCallback(TrainerCallback):
    """Saves the model at each evaluation that is the best so far."""

    def __init__(self, output_dir: str, evaluator: Any, save_best_model: bool) -> None:
        self.output_dir = output_dir
        self.evaluator = evaluator
        self.save_best_model = save_best_model
        self.best_metric: float | None = None

    def is_better(self, new_metric: float) -> bool:
        """Whether a metric beats the best so far."""
        if self.best_metric is None:
            return True
        if getattr(self.evaluator, "greater_is_better", True):
            return new_metric > self.best_metric
        return new_metric < self.best_metric

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.evaluator is None or not self.save_best_model:
            return
        value = primary_value(self.evaluator, kwargs["metrics"])
        if value is not None and self.is_better(value):
            self.best_metric = value
            kwargs["model"].save_pretrained(self.output_dir)


class EvaluatorCallback(TrainerCallback):
    """Runs the evaluator when an epoch ends, and tells the other callbacks what it found."""

    def __init__(self, evaluator: Any, output_path: str | None = None) -> None:
        self.evaluator = evaluator
        self.output_path = None if output_path is None else os.path.join(output_path, "eval")
        if self.output_path is not None:
            os.makedirs(self.output_path, exist_ok=True)
        self.trainer: Any = None

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        metrics = prefixed(
            self.evaluator(
                kwargs["model"],
                output_path=self.output_path,
                epoch=state.epoch,
                steps=state.global_step,
            ),
            "eval",
        )
        if self.trainer is not None:
            self.trainer.callback_handler.on_evaluate(args, state, control, metrics=metrics)


class OriginalCallback(TrainerCallback):
    """Calls a function (score, epoch, steps) after each evaluation, as `fit` promises."""

    def __init__(self, callback: Callable[[float, int, int], None], evaluator: Any) -> None:
        self.callback = callback
        self.evaluator = evaluator

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        value = primary_value(self.evaluator, kwargs["metrics"])
        if value is not None:
            self.callback(value, state.epoch, state.global_step)


def primary_value(evaluator: Any, metrics: dict[str, Any]) -> Any:
    """The evaluator's main metric, None when it is not among these."""
    name = getattr(evaluator, "primary_metric", None) or "evaluator"
    return next((value for key, value in metrics.items() if key.endswith(name)), None)


def prefixed(metrics: Any, prefix: str) -> dict[str, Any]:
    """An evaluator's result, a number or a dict, with "<prefix>_" in front of every name."""
    found = metrics if isinstance(metrics, dict) else {"evaluator": metrics}
    return {
        key if key.startswith(f"{prefix}_") else f"{prefix}_{key}": value
        for key, value in found.items()
    }


def name_project(callbacks: list[Any]) -> None:
    """Give trackers that are told no project this library's name."""
    for kind, variable in ((WandbCallback, "WANDB_PROJECT"), (TrackioCallback, "TRACKIO_PROJECT")):
        if any(isinstance(callback, kind) for callback in callbacks):
            os.environ.setdefault(variable, "mmrerank")
