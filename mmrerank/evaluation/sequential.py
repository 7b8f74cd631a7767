"""SequentialEvaluator: several evaluators as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mmrerank.evaluation.evaluator import BaseEvaluator

__all__ = ["SequentialEvaluator"]


def _last(scores: list[float]) -> float:
    return scores[-1]


class SequentialEvaluator(BaseEvaluator):
    """Run evaluators one after the other.

    main_score_function: makes one number, "sequential_score", of their primary metrics; the last
    one by default.
    """

    def __init__(
        self,
        evaluators: Iterable[BaseEvaluator],
        main_score_function: Callable[[list[float]], float] = _last,
    ) -> None:
        super().__init__()
        self.evaluators = list(evaluators)
        self.main_score_function = main_score_function

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate. Returns all metrics in one dict; a lone number is called evaluator_<index>."""
        results: dict[str, float] = {}
        scores: list[float] = []
        for index, evaluator in enumerate(self.evaluators):
            found = evaluator(model, output_path, epoch, steps)
            if not isinstance(found, dict):
                found = {f"evaluator_{index}": found}
            results.update(found)
            # An evaluator of the caller's own may derive from no base and name no primary metric.
            primary = getattr(evaluator, "primary_metric", None)
            scores.append(found[primary] if primary in found else next(iter(found.values())))
        self.primary_metric = "sequential_score"
        results["sequential_score"] = self.main_score_function(scores) if scores else 0.0
        return results
