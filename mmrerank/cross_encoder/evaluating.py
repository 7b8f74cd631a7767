"""`CrossEncoder.evaluate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mmrerank.errors import WrongArgument

if TYPE_CHECKING:
    from mmrerank.evaluation import BaseEvaluator
    from mmrerank.evaluation.evaluator import Scorer

__all__ = ["evaluate"]


def evaluate(
    model: Scorer, evaluator: BaseEvaluator, output_path: str | os.PathLike[str] | None = None
) -> dict[str, float] | float:
    """What an evaluator says of a model. output_path: folder for its files, made where missing.

    Raises WrongArgument for an evaluator that cannot be called.
    """
    if not callable(evaluator):
        raise WrongArgument(
            f"evaluator must be an evaluator such as CrossEncoderRerankingEvaluator(samples), got "
            f"{type(evaluator).__name__}."
        )
    if output_path is not None:
        Path(output_path).mkdir(parents=True, exist_ok=True)
        output_path = os.fspath(output_path)
    return evaluator(model, output_path)
