"""Distillation: a large reranker's scores, kept on disk, and a small one trained on them."""

from mmrerank.training.distill.cache import ScoreCache
from mmrerank.training.distill.student import DISTILL_LOSSES, train_student
from mmrerank.training.distill.teacher import scored_by_teacher, teacher_fingerprint

__all__ = [
    "DISTILL_LOSSES",
    "ScoreCache",
    "scored_by_teacher",
    "teacher_fingerprint",
    "train_student",
]
