"""Losses under the peer's names, and DistillKLLoss: each takes the model as its first argument."""

from mmrerank.training.losses.adr_mse import ADRMSELoss
from mmrerank.training.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from mmrerank.training.losses.cached_multiple_negatives_ranking import (
    CachedMultipleNegativesRankingLoss,
)
from mmrerank.training.losses.cross_entropy import CrossEntropyLoss
from mmrerank.training.losses.distill_kl import DistillKLLoss
from mmrerank.training.losses.lambda_loss import LambdaLoss
from mmrerank.training.losses.lambda_weighting import (
    BaseWeightingScheme,
    LambdaRankScheme,
    NDCGLoss1Scheme,
    NDCGLoss2PPScheme,
    NDCGLoss2Scheme,
    NoWeightingScheme,
)
from mmrerank.training.losses.list_mle import ListMLELoss
from mmrerank.training.losses.list_net import ListNetLoss
from mmrerank.training.losses.margin_mse import MarginMSELoss
from mmrerank.training.losses.mse import MSELoss
from mmrerank.training.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from mmrerank.training.losses.plist_mle import PListMLELambdaWeight, PListMLELoss
from mmrerank.training.losses.rank_net import RankNetLoss

__all__ = [
    "ADRMSELoss",
    "BaseWeightingScheme",
    "BinaryCrossEntropyLoss",
    "CachedMultipleNegativesRankingLoss",
    "CrossEntropyLoss",
    "DistillKLLoss",
    "LambdaLoss",
    "LambdaRankScheme",
    "ListMLELoss",
    "ListNetLoss",
    "MSELoss",
    "MarginMSELoss",
    "MultipleNegativesRankingLoss",
    "NDCGLoss1Scheme",
    "NDCGLoss2PPScheme",
    "NDCGLoss2Scheme",
    "NoWeightingScheme",
    "PListMLELambdaWeight",
    "PListMLELoss",
    "RankNetLoss",
]
