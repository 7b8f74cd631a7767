"""Stage 3 and 4 of the walk: media features, chat templates, truncation, token ids."""

from mmrerank.prompting.encode import ChatEncoder, PairEncoder, SegmentEncoder, build_encoder
from mmrerank.prompting.features import MediaFeature, MediaPreparer
from mmrerank.prompting.template import ChatTemplateProcessor

__all__ = [
    "ChatEncoder",
    "ChatTemplateProcessor",
    "MediaFeature",
    "MediaPreparer",
    "PairEncoder",
    "SegmentEncoder",
    "build_encoder",
]
