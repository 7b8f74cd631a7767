"""What a processor folder says, and what the build line decides: plain values, checked at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from mmrerank.errors import SpecError
from mmrerank.types import MODALITIES, DecodeBudget, Modality

__all__ = [
    "BudgetSpec",
    "HeadSpec",
    "LoraSpec",
    "MatchSpec",
    "PixelBudget",
    "ProcessorSpec",
    "ResolvedSpec",
    "TemplateSpec",
    "TruncationSpec",
]

TemplateKind: TypeAlias = Literal["chat", "tokenizer-pair", "checkpoint"]
HeadKind: TypeAlias = Literal["logit-score", "builtin", "chain"]


@dataclass(frozen=True, slots=True)
class MatchSpec:
    """Which checkpoints a folder claims. All given rules must hold; `*` stands for anything in
    patterns.

    model_types, architectures: of config.json. names: patterns of the repository's name, any case.
    template_contains: words of the checkpoint's chat template that only this family has.
    evidence: when True, config.json alone does not tell a reranker from a chat model of the same
    architecture: a name or the words of the template must match as well.
    """

    model_types: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    template_contains: str = ""
    evidence: bool = False


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """How a pair becomes a prompt.

    kind "chat": a jinja template over messages of roles system (the instruction), query and
    document;
    "tokenizer-pair": the tokenizer's own two-segment form; "checkpoint": the checkpoint's chat
    template
    where it has one, else tokenizer-pair.
    content: whether a message's content is a list of typed parts or one string.
    options: further variables of the template, such as add_generation_prompt.
    """

    kind: TemplateKind
    text: str = ""
    content: Literal["structured", "flat"] = "structured"
    instruction: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """From states to logits.

    kind "logit-score": logit of `true_token`, minus that of `false_token` where there is one;
    tokens are
    vocabulary strings or ids. "builtin": the checkpoint's own classifier. "chain": the checkpoint's
    sentence-transformers modules after the transformer.
    activation: a name of heads.activation; "" = sigmoid for one label, identity for several.
    """

    kind: HeadKind
    true_token: str | int | None = None
    false_token: str | int | None = None
    activation: str = ""

    def __post_init__(self) -> None:
        if self.kind == "logit-score" and self.true_token is None:
            raise SpecError('a head of kind "logit-score" needs true_token')


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """Pixels that a picture, a frame or a clip may use after resizing."""

    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise SpecError(
                f"min_pixels={self.min_pixels} and max_pixels={self.max_pixels}: "
                "need 0 < min_pixels <= max_pixels"
            )


def _enough(num_pixels: int) -> int:
    """What to leave for a model that takes so many: more for a small one, which sees each pixel.

    Up to a megapixel or so they cost little.
    """
    return max(num_pixels, min(_SURPLUS * num_pixels, 1_500_000))


_SURPLUS = 256


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """Limits of decoding, and of resizing; None leaves resizing to the checkpoint's own media
    processor.

    video: pixels as the checkpoint's media processor counts them (of a frame, or of the clip).
    frame: pixels of each frame, for media processors that count all frames of a clip together.
    processor_kwargs: by "image", "audio" and "video", further arguments that the checkpoint's ST
    files want handed to its media processor.
    """

    decode: DecodeBudget = field(default_factory=DecodeBudget)
    image: PixelBudget | None = None
    video: PixelBudget | None = None
    frame: PixelBudget | None = None
    processor_kwargs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def decoding(self) -> DecodeBudget:
        """`decode`, with what a fast decoder may shrink to: the pixels that the model takes."""
        if not self.decode.fast:
            return self.decode
        frame = self.frame or self.video
        image_pixels = self.image.max_pixels if self.image else self.decode.max_image_pixels
        frame_pixels = frame.max_pixels if frame else self.decode.max_frame_pixels
        return replace(
            self.decode,
            max_image_pixels=image_pixels and _enough(image_pixels),
            max_frame_pixels=frame_pixels and _enough(frame_pixels),
        )


@dataclass(frozen=True, slots=True)
class TruncationSpec:
    """What is cut from a prompt of more than `max_length` tokens (None = the tokenizer's own
    limit).

    "document": text tokens of the document, from its end. "longest-first": the tokenizer's rule for
    two
    segments, one token at a time from the longer one.
    """

    rule: Literal["document", "longest-first"] = "document"
    max_length: int | None = None

    def __post_init__(self) -> None:
        if self.max_length is not None and self.max_length <= 0:
            raise SpecError(f"max_length={self.max_length}: needs a number above 0")


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """Where and how wide an adapter of the family is.

    target_modules: last names of layers in the language model; () = all its linear ones. r: rank;
    alpha: the adapter counts alpha / r; dropout: share of its inputs left out in training.
    """

    target_modules: tuple[str, ...] = ()
    r: int = 16
    alpha: int = 32
    dropout: float = 0.05

    def __post_init__(self) -> None:
        if self.r < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise SpecError(
                f"r={self.r}, alpha={self.alpha}, dropout={self.dropout}: need r and alpha of 1 "
                "or more, and a dropout from 0 to below 1"
            )


@dataclass(frozen=True, slots=True)
class ProcessorSpec:
    """One folder of processors/: everything that is particular to a family."""

    name: str
    title: str
    link: str
    match: MatchSpec
    template: TemplateSpec
    head: HeadSpec
    modalities: tuple[Modality, ...] = ("text",)
    budget: BudgetSpec = BudgetSpec()
    truncation: TruncationSpec = TruncationSpec()
    dtype: str = (
        ""  # numbers to compute in; "" = those the checkpoint is stored in, as the peer does
    )
    lora: LoraSpec = LoraSpec()
    guess: bool = False  # a last resort: using it is announced

    def __post_init__(self) -> None:
        unknown = set(self.modalities) - set(MODALITIES)
        if unknown or not self.modalities:
            raise SpecError(
                f"{self.name}: modalities {sorted(unknown)} are not among {', '.join(MODALITIES)}"
            )


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    """All decisions for one checkpoint. `sources` tells for each field where it came from.

    template.kind is never "checkpoint" here. prompts are named instructions as saved in the
    checkpoint.
    """

    name: str
    family: str
    modalities: tuple[Modality, ...]
    template: TemplateSpec
    head: HeadSpec
    budget: BudgetSpec
    truncation: TruncationSpec
    dtype: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
