"""Stage 8 of the walk: hidden states to logits to scores."""

from mmrerank.heads.activation import (
    Activation,
    activation_by_name,
    activation_name,
    default_activation,
)
from mmrerank.heads.build import ClassifierParts, Head, build_head, make_logit_score
from mmrerank.heads.chain import Dense, LayerNorm, Pooling
from mmrerank.heads.cosine import CosineHead, make_cosine
from mmrerank.heads.layer import checked_layer, make_layer_head, output_layer_name
from mmrerank.heads.logit_score import LogitScore
from mmrerank.heads.mlp import make_mlp
from mmrerank.heads.scaling import make_scaling, scalings_of

__all__ = [
    "Activation",
    "ClassifierParts",
    "CosineHead",
    "Dense",
    "Head",
    "LayerNorm",
    "LogitScore",
    "Pooling",
    "activation_by_name",
    "activation_name",
    "build_head",
    "checked_layer",
    "default_activation",
    "make_cosine",
    "make_layer_head",
    "make_logit_score",
    "make_mlp",
    "make_scaling",
    "output_layer_name",
    "scalings_of",
]
