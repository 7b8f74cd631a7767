"""What a processor folder says, and what the build line decides: plain values, checked at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from mmrerank.errors import SpecError
from mmrerank.specs.budget import BudgetSpec, PixelBudget
from mmrerank.specs.encoder_decoder import EncoderDecoderSpec
from mmrerank.specs.listwise import LISTWISE_HEADS, ListwiseSpec
from mmrerank.specs.pair_method import PairMethodSpec
from mmrerank.types import MODALITIES, Modality

__all__ = [
    "BudgetSpec",
    "EncoderDecoderSpec",
    "HeadSpec",
    "ListwiseSpec",
    "LoraSpec",
    "MatchSpec",
    "ModelSpec",
    "PairMethodSpec",
    "PixelBudget",
    "ProcessorSpec",
    "ResolvedSpec",
    "Scale",
    "TemplateSpec",
    "TruncationSpec",
]

TemplateKind: TypeAlias = Literal["chat", "tokenizer-pair", "checkpoint"]
HeadKind: TypeAlias = Literal[
    "logit-score", "builtin", "chain", "mlp", "layer", "cosine", "permutation"
]
# What a score is: "logit" any number, "probability" 0 to 1, "similarity" -1 to 1, "rank" a whole
# number: of the documents of a list, the last one has 1, the first one as many as there are.
Scale: TypeAlias = Literal["logit", "probability", "similarity", "rank"]


@dataclass(frozen=True, slots=True)
class MatchSpec:
    """Which checkpoints a folder claims. All given rules must hold; `*` stands for anything in
    patterns.

    model_types, architectures: of config.json. config: further fields of it and their values.
    names: patterns of the repository's name, any case. template_contains: words of the checkpoint's
    chat template that only this family has.
    evidence: when True, config.json alone does not tell a reranker from a chat model of the same
    architecture: a name or the words of the template must match as well.
    """

    model_types: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
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
    tokenize: "parts" where the vendor tokenises pieces of the prompt by themselves and joins their
    ids; the template writes {{ part }} between them. "decoder": what stands in front of the
    template's {{ decoder }} is the encoder's, the rest the decoder's (see EncoderDecoderSpec).
    special_tokens: whether the tokenizer adds its own, such as the end of a T5 sequence; None: only
    where a media processor holds it, as transformers does.
    suffix_ids: tokens put behind the prompt, by id. remove: words taken out of what users hand in.
    """

    kind: TemplateKind
    text: str = ""
    content: Literal["structured", "flat"] = "structured"
    instruction: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    tokenize: Literal["whole", "parts", "decoder"] = "whole"
    special_tokens: bool | None = None
    suffix_ids: tuple[int, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """From states to logits.

    kind "logit-score": logit of `true_token`, minus that of `false_token` where there is one;
    tokens are
    vocabulary strings or ids. "builtin": the checkpoint's own classifier. "chain": the checkpoint's
    sentence-transformers modules after the transformer. "mlp": linear layers of the checkpoint's
    own files on the state of the last token, `weights` their names in order, `between` the
    activation between them. "layer": the state after `layer` layers through a one-row output layer
    of its own, `weights` its name with {layer} for the number. "cosine": the state of each document
    and of the query through the layers of `weights`, then their cosine (see ListwiseSpec).
    "permutation": the order that the model writes down for the documents of a prompt.
    bias, divide: a logit becomes (logit + bias) / divide.
    activation: a name of heads.activation; "" = sigmoid for one label, identity for several.
    scales: what scores the family can be asked for.
    """

    kind: HeadKind
    true_token: str | int | None = None
    false_token: str | int | None = None
    activation: str = ""
    weights: tuple[str, ...] = ()
    between: str = "relu"
    layer: int | None = None
    bias: float = 0.0
    divide: float = 1.0
    scales: tuple[Scale, ...] = ("logit", "probability")

    def __post_init__(self) -> None:
        if self.kind == "logit-score" and self.true_token is None:
            raise SpecError('a head of kind "logit-score" needs true_token')
        if self.kind in ("mlp", "layer", "cosine") and not self.weights:
            raise SpecError(f'a head of kind "{self.kind}" needs weights, names of its layers')
        if self.divide == 0:
            raise SpecError("divide=0: a logit cannot be divided by it")
        if unknown := set(self.scales) - set(get_args(Scale)):
            raise SpecError(f"scales {sorted(unknown)}: allowed are {', '.join(get_args(Scale))}")

    @property
    def is_restated(self) -> bool:
        """Whether the head says in plain data what the vendor publishes as Python files."""
        return self.kind in ("mlp", "layer", "cosine")


@dataclass(frozen=True, slots=True)
class TruncationSpec:
    """What is cut from a prompt of more than `max_length` tokens (None = the tokenizer's own
    limit).

    "document": text tokens of the document, from its end. "longest-first": the tokenizer's rule for
    two
    segments, one token at a time from the longer one.
    max_query_share, max_document_share: of max_length, what a side may take before it is cut
    itself. max_query_tokens, max_document_tokens: limits of the two sides, where a vendor sets
    them.
    suffix_counts: False where what stands behind the document does not count towards max_length.
    suffix_extends: True where max_length grows by the length of what stands behind the document.
    bounds_media: False where max_length holds for prompts of text alone, and the tokenizer's limit
    for those with media.
    """

    rule: Literal["document", "longest-first"] = "document"
    max_length: int | None = None
    max_query_share: float | None = None
    max_document_share: float | None = None
    max_query_tokens: int | None = None
    max_document_tokens: int | None = None
    suffix_counts: bool = True
    suffix_extends: bool = False
    bounds_media: bool = True

    def __post_init__(self) -> None:
        for name in ("max_length", "max_query_tokens", "max_document_tokens"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SpecError(f"{name}={value}: needs a number above 0")
        for name in ("max_query_share", "max_document_share"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise SpecError(f"{name}={share}: needs a share above 0, to 1")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """How the family's weights are loaded.

    task: of transformers' automatic classes, where the head alone does not tell
    ("feature-extraction", "text-generation", "any-to-any", "seq2seq"). remote_code: the
    architecture is in the checkpoint's own Python files, so it needs trust_remote_code=True
    where models/architectures.py does not restate it.
    """

    task: Literal["", "feature-extraction", "text-generation", "any-to-any", "seq2seq"] = ""
    remote_code: bool = False


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
    """One folder of processors/: everything that is particular to a family.

    query_modalities, document_modalities: what one side may hold, where that is less than
    `modalities`; () = all of them. models: ids of published checkpoints. license: of their weights.
    notes: a sentence or two for the page of families.
    """

    name: str
    title: str
    link: str
    match: MatchSpec
    template: TemplateSpec
    head: HeadSpec
    modalities: tuple[Modality, ...] = ("text",)
    query_modalities: tuple[Modality, ...] = ()
    document_modalities: tuple[Modality, ...] = ()
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    truncation: TruncationSpec = TruncationSpec()
    dtype: str = (
        ""  # numbers to compute in; "" = those the checkpoint is stored in, as the peer does
    )
    lora: LoraSpec = LoraSpec()
    listwise: ListwiseSpec | None = None
    pair_method: PairMethodSpec | None = None
    encoder_decoder: EncoderDecoderSpec | None = None
    model: ModelSpec = ModelSpec()
    models: tuple[str, ...] = ()
    license: str = ""
    notes: str = ""
    guess: bool = False  # a last resort: using it is announced

    def __post_init__(self) -> None:
        if (self.head.kind in LISTWISE_HEADS) != (self.listwise is not None):
            raise SpecError(
                f'{self.name}: a head of kind "cosine" or "permutation" compares documents of one '
                "prompt, so it needs [listwise], and no other head reads such a prompt"
            )
        if (self.template.tokenize == "decoder") != (self.encoder_decoder is not None):
            raise SpecError(
                f'{self.name}: a template with tokenize = "decoder" needs [encoder_decoder], and '
                "no other template has a decoder of its own"
            )
        if self.listwise is not None:
            self.listwise.check(self.head.kind)
        if self.pair_method is not None and self.template.kind != "chat":
            raise SpecError(
                f"{self.name}: [pair_method] prepares pictures alone; the prompt needs [template] "
                'of kind = "chat"'
            )
        unknown = set(self.modalities) - set(MODALITIES)
        sides = {*self.query_modalities, *self.document_modalities}
        if not unknown and sides - set(self.modalities):
            raise SpecError(
                f"{self.name}: a side may hold {', '.join(sorted(sides))}, and modalities are only "
                f"{', '.join(self.modalities)}"
            )
        if unknown or not self.modalities:
            raise SpecError(
                f"{self.name}: modalities {sorted(unknown)} are not among {', '.join(MODALITIES)}"
            )

    @property
    def is_restated(self) -> bool:
        """Whether the folder says in plain data what the vendor publishes as Python files."""
        return self.head.is_restated or self.encoder_decoder is not None


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    """All decisions for one checkpoint. `sources` tells for each field where it came from.

    template.kind is never "checkpoint" here. prompts are named instructions as saved in the
    checkpoint. is_shipped: whether the family is a processor folder of the package.
    """

    name: str
    family: str
    modalities: tuple[Modality, ...]
    template: TemplateSpec
    head: HeadSpec
    budget: BudgetSpec
    truncation: TruncationSpec
    dtype: str = ""
    listwise: ListwiseSpec | None = None
    pair_method: PairMethodSpec | None = None
    encoder_decoder: EncoderDecoderSpec | None = None
    model: ModelSpec = ModelSpec()
    query_modalities: tuple[Modality, ...] = ()
    document_modalities: tuple[Modality, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    is_shipped: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_restated(self) -> bool:
        """See `ProcessorSpec.is_restated`."""
        return self.head.is_restated or self.encoder_decoder is not None
