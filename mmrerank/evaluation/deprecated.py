"""Evaluators under their names of earlier versions; each use is announced, with the new name."""

from __future__ import annotations

import warnings
from typing import Any

from mmrerank.evaluation.classification import CrossEncoderClassificationEvaluator
from mmrerank.evaluation.correlation import CrossEncoderCorrelationEvaluator
from mmrerank.evaluation.reranking import CrossEncoderRerankingEvaluator

__all__ = [
    "CEBinaryAccuracyEvaluator",
    "CEBinaryClassificationEvaluator",
    "CECorrelationEvaluator",
    "CEF1Evaluator",
    "CERerankingEvaluator",
    "CESoftmaxAccuracyEvaluator",
]


def _announce(evaluator: object, new: type) -> None:
    warnings.warn(
        f"{type(evaluator).__name__} is deprecated: use {new.__name__}, which takes the same data.",
        DeprecationWarning,
        stacklevel=3,
    )


class _Classification(CrossEncoderClassificationEvaluator):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _announce(self, CrossEncoderClassificationEvaluator)
        super().__init__(*args, **kwargs)


class CEBinaryAccuracyEvaluator(_Classification):
    """The former name of CrossEncoderClassificationEvaluator."""


class CEBinaryClassificationEvaluator(_Classification):
    """The former name of CrossEncoderClassificationEvaluator."""


class CEF1Evaluator(_Classification):
    """The former name of CrossEncoderClassificationEvaluator."""


class CESoftmaxAccuracyEvaluator(_Classification):
    """The former name of CrossEncoderClassificationEvaluator."""


class CECorrelationEvaluator(CrossEncoderCorrelationEvaluator):
    """The former name of CrossEncoderCorrelationEvaluator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _announce(self, CrossEncoderCorrelationEvaluator)
        super().__init__(*args, **kwargs)


class CERerankingEvaluator(CrossEncoderRerankingEvaluator):
    """The former name of CrossEncoderRerankingEvaluator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _announce(self, CrossEncoderRerankingEvaluator)
        super().__init__(*args, **kwargs)
