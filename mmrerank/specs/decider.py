"""What is at hand while the build line decides: the files, the caller's words, the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mmrerank.specs.budget import PixelBudget
from mmrerank.specs.encoder_decoder import ChunkSize
from mmrerank.specs.facts import CheckpointFacts
from mmrerank.specs.schema import HeadSpec, ProcessorSpec

__all__ = ["CHECKPOINT", "GUESS", "USER", "Decider", "SpecOverrides"]

USER, CHECKPOINT, GUESS = "user", "checkpoint", "guess"


@dataclass(frozen=True, slots=True)
class SpecOverrides:
    """What the caller says about a checkpoint; None leaves the decision to the files.

    head: given when the caller has put the modules together. fast_decode, sound_of_video: see
    DecodeBudget. scale: of the scores, "native" as the checkpoint has it. cutoff_layer: the layer
    after which a head of kind "layer" reads. chunk_size: see EncoderDecoderSpec.
    """

    processor: str | Path | None = None
    head: HeadSpec | None = None
    image: PixelBudget | None = None
    chat_template: str | None = None
    max_length: int | None = None
    prompts: Mapping[str, str] | None = None
    default_prompt_name: str | None = None
    fast_decode: bool | None = None
    sound_of_video: bool | None = None
    scale: Literal["native", "logit", "probability"] = "native"
    cutoff_layer: int | None = None
    chunk_size: ChunkSize = "native"


@dataclass(slots=True)
class Decider:
    """Facts at hand while deciding, and the note of where each answer came from."""

    facts: CheckpointFacts
    user: SpecOverrides
    folder: ProcessorSpec | None
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def folder_source(self) -> str:
        """Name of the folder as a source; one that the user named counts as the user's word."""
        assert self.folder is not None
        kind = (
            USER
            if self.user.processor is not None
            else (GUESS if self.folder.guess else "processor")
        )
        return f"{kind}: {self.folder.name}"

    @property
    def has_st_form(self) -> bool:
        """Whether the checkpoint's own ST files decide; they do not when the user named a
        processor, nor where all they say is to run the checkpoint's code.
        """
        asks = self.user.processor is None and not self.restates_code
        return asks and bool(self.facts.st.modules)

    @property
    def restates_code(self) -> bool:
        """Whether the folder stands in for Python files that the checkpoint names."""
        named = self.folder is not None and self.folder.is_restated
        has_code = bool(self.facts.config.get("auto_map")) or self.facts.st.names_own_code
        return named and has_code
