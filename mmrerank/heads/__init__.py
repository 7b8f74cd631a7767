"""Stage 8 of the walk: hidden states to logits to scores."""

from mmrerank.heads.activation import (
    Activation,
    activation_by_name,
    activation_name,
    default_activation,
)
from mmrerank.heads.build import ClassifierParts, Head, build_head, make_logit_score
from mmrerank.heads.chain import Dense, LayerNorm, Pooling
from mmrerank.heads.logit_score import LogitScore

__all__ = [
    "Activation",
    "ClassifierParts",
    "Dense",
    "Head",
    "LayerNorm",
    "LogitScore",
    "Pooling",
    "activation_by_name",
    "activation_name",
    "build_head",
    "default_activation",
    "make_logit_score",
]
