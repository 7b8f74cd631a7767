"""Stage 3 and 4 of the walk: media features, chat templates, truncation, token ids."""

from mmrerank.prompting.answers import example_answer, order_of
from mmrerank.prompting.blocks import Block, ListItem, Member, blocks_of
from mmrerank.prompting.chat import ChatEncoder
from mmrerank.prompting.encode import PairEncoder, build_encoder
from mmrerank.prompting.features import MediaFeature, MediaPreparer
from mmrerank.prompting.listwise import ListEncoder
from mmrerank.prompting.segments import SegmentEncoder
from mmrerank.prompting.template import ChatTemplateProcessor
from mmrerank.prompting.window import WindowEncoder, WindowItem, WindowPrompt

__all__ = [
    "Block",
    "ChatEncoder",
    "ChatTemplateProcessor",
    "ListEncoder",
    "ListItem",
    "MediaFeature",
    "MediaPreparer",
    "Member",
    "PairEncoder",
    "SegmentEncoder",
    "WindowEncoder",
    "WindowItem",
    "WindowPrompt",
    "blocks_of",
    "build_encoder",
    "example_answer",
    "order_of",
]
