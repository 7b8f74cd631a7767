"""Stage 3, the build line: checkpoint files and processor folders become one ResolvedSpec."""

from mmrerank.specs.facts import CheckpointFacts, read_facts
from mmrerank.specs.folders import find_processor, list_processors, processor_folders
from mmrerank.specs.match import best_match
from mmrerank.specs.read import read_processor
from mmrerank.specs.resolve import SpecOverrides, resolve
from mmrerank.specs.schema import (
    BudgetSpec,
    EncoderDecoderSpec,
    HeadSpec,
    ListwiseSpec,
    MatchSpec,
    ModelSpec,
    PairMethodSpec,
    PixelBudget,
    ProcessorSpec,
    ResolvedSpec,
    Scale,
    TemplateSpec,
    TruncationSpec,
)

__all__ = [
    "BudgetSpec",
    "CheckpointFacts",
    "EncoderDecoderSpec",
    "HeadSpec",
    "ListwiseSpec",
    "MatchSpec",
    "ModelSpec",
    "PairMethodSpec",
    "PixelBudget",
    "ProcessorSpec",
    "ResolvedSpec",
    "Scale",
    "SpecOverrides",
    "TemplateSpec",
    "TruncationSpec",
    "best_match",
    "find_processor",
    "list_processors",
    "processor_folders",
    "read_facts",
    "read_processor",
    "resolve",
]
