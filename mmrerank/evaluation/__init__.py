"""Evaluation: metrics, evaluators, data sets on disk, reports; takes the model as an argument."""

from __future__ import annotations

from mmrerank.evaluation.classification import CrossEncoderClassificationEvaluator
from mmrerank.evaluation.correlation import CrossEncoderCorrelationEvaluator
from mmrerank.evaluation.evaluator import BaseEvaluator, SentenceEvaluator
from mmrerank.evaluation.nano_beir import CrossEncoderNanoBEIREvaluator
from mmrerank.evaluation.reranking import CrossEncoderRerankingEvaluator
from mmrerank.evaluation.sequential import SequentialEvaluator

__all__ = [
    "BaseEvaluator",
    "CrossEncoderClassificationEvaluator",
    "CrossEncoderCorrelationEvaluator",
    "CrossEncoderNanoBEIREvaluator",
    "CrossEncoderRerankingEvaluator",
    "SentenceEvaluator",
    "SequentialEvaluator",
]
