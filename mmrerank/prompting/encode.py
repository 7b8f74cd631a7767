"""Stage 4 of the walk: which encoder turns loaded pairs into token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from mmrerank.prompting.chat import ChatEncoder
from mmrerank.prompting.expand import Features
from mmrerank.prompting.features import MediaFeature, MediaPreparer
from mmrerank.prompting.listwise import ListEncoder
from mmrerank.prompting.segments import SegmentEncoder
from mmrerank.prompting.template import ChatTemplateProcessor, answer_opening
from mmrerank.prompting.truncate import Limits, limits_of
from mmrerank.prompting.vendors import (
    PairMethod,
    PairMethodPreparer,
    VendorsEncoder,
    warn_of_another_prompt,
)
from mmrerank.prompting.window import WindowEncoder
from mmrerank.specs import PairMethodSpec, ResolvedSpec
from mmrerank.types import EncodedGroup, LoadedPair, MediaKey

__all__ = ["PairEncoder", "build_encoder"]


class PairEncoder(Protocol):
    """Stage 4 of the walk. token_types: placeholder id -> 1 image, 2 video, 3 audio; {} for text
    models.
    """

    token_types: dict[int, int]

    def features_of(self, pairs: Sequence[LoadedPair]) -> dict[MediaKey, MediaFeature]:
        """Prepare each distinct medium of these pairs."""

    def encode(self, pairs: Sequence[LoadedPair], features: Features) -> list[EncodedGroup]:
        """One group a pair, in order."""

    def prompt(self, pair: LoadedPair) -> str:
        """The prompt as text, for people to read."""


def build_encoder(
    spec: ResolvedSpec, tokenizer: Any, processor: Any, *, scores_last: bool
) -> PairEncoder:
    """The encoder for the spec's kind of template; `processor` is the media processor or the
    tokenizer itself. scores_last: of two segments, score at the last token instead of the first.

    Raises SpecError when a chat template does not carry both query and document.
    """
    limits = limits_of(spec.truncation, int(tokenizer.model_max_length))
    if spec.template.kind == "tokenizer-pair":
        remove = spec.template.remove
        return SegmentEncoder(tokenizer, limits, scores_last=scores_last, remove=remove)
    if spec.encoder_decoder is not None:
        limits = replace(limits, query_text=spec.encoder_decoder.max_query_tokens)
    template = ChatTemplateProcessor(spec.template, _variables(spec, tokenizer, processor))
    template.check_roles(spec.name)
    if spec.head.kind == "cosine":
        return ListEncoder(spec, template, tokenizer)
    if spec.pair_method is not None:
        return _vendors_encoder(spec, spec.pair_method, template, tokenizer, processor, limits)
    media = None if processor is tokenizer else MediaPreparer(processor, spec.budget)
    if spec.head.kind == "permutation":
        return WindowEncoder(spec, template, tokenizer, media)
    return ChatEncoder(template, tokenizer, media, limits)


def _variables(spec: ResolvedSpec, tokenizer: Any, processor: Any) -> dict[str, Any]:
    """What a template may use beside the messages. generation_prompt: of models that write."""
    variables = dict(tokenizer.special_tokens_map)
    if spec.head.kind == "permutation":
        variables["generation_prompt"] = answer_opening(processor.chat_template, variables)
    return variables


def _vendors_encoder(
    spec: ResolvedSpec,
    said: PairMethodSpec,
    template: ChatTemplateProcessor,
    tokenizer: Any,
    processor: Any,
    limits: Limits,
) -> VendorsEncoder:
    method = PairMethod(processor, said)
    media = PairMethodPreparer(method, said.placeholder, tokenizer)
    warn_of_another_prompt(ChatEncoder(template, tokenizer, media, Limits()), method, spec.name)
    return VendorsEncoder(ChatEncoder(template, tokenizer, media, limits))
