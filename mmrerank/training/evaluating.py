"""Evaluators in training: when they run, and under which names their metrics are logged."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmrerank.training.callbacks import prefixed
from mmrerank.training.wiring import unwrapped

__all__ = ["as_evaluator", "metrics_of", "prefix_of_evaluator"]


def as_evaluator(evaluator: Any) -> Any:
    """One evaluator; several are run one after the other."""
    if isinstance(evaluator, list | tuple):
        from mmrerank.evaluation import SequentialEvaluator

        return SequentialEvaluator(evaluator)
    return evaluator


def prefix_of_evaluator(prefix: str, eval_dataset: Any) -> str | None:
    """The prefix of the evaluator's metrics in an evaluation; None where it does not run.

    With several datasets the loss is computed for each, and the evaluator runs with the first
    only. eval_dataset: None outside of training, where the prefix is the caller's.
    """
    if not isinstance(eval_dataset, Mapping) or not prefix.startswith("eval_"):
        return prefix
    return "eval" if prefix == f"eval_{next(iter(eval_dataset))}" else None


def metrics_of(trainer: Any, prefix: str) -> dict[str, Any]:
    """Run the trainer's evaluator on its model; every process gets the first one's numbers.

    All processes run it: they would otherwise wait, and a backend takes a long wait for a failure.
    """
    from accelerate.utils import broadcast_object_list

    folder = None
    if trainer.is_world_process_zero():
        folder = os.path.join(trainer.args.output_dir, "eval")
        os.makedirs(folder, exist_ok=True)
    with _quiet(trainer.is_world_process_zero()):
        found = trainer.evaluator(
            unwrapped(trainer.model),
            output_path=folder,
            epoch=trainer.state.epoch,
            steps=trainer.state.global_step,
        )
    metrics: dict[str, Any] = broadcast_object_list([prefixed(found, prefix)])[0]
    return metrics


@contextmanager
def _quiet(is_first: bool) -> Iterator[None]:
    """Only the first process reports."""
    before = logging.root.manager.disable
    if not is_first:
        logging.disable(max(before, logging.INFO))
    try:
        yield
    finally:
        logging.disable(before)
