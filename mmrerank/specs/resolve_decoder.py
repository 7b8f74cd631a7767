"""Whether a model reads the document in its encoder and the query in its decoder, and how."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from mmrerank.errors import CheckpointError, InputError, SpecError, shorten
from mmrerank.specs.decider import CHECKPOINT, USER, Decider
from mmrerank.specs.encoder_decoder import ChunkSize, EncoderDecoderSpec
from mmrerank.specs.schema import TemplateSpec
from mmrerank.specs.st_format import ENCODER_DECODER

__all__ = ["decide_encoder_decoder"]


def decide_encoder_decoder(decider: Decider, template: TemplateSpec) -> EncoderDecoderSpec | None:
    """Raises SpecError where the template and the rest disagree about a decoder's part."""
    said = decider.facts.st.transformer.get(ENCODER_DECODER) if decider.has_st_form else None
    if said is not None:
        spec: EncoderDecoderSpec | None = _saved(said, decider.facts.name)
        decider.sources["encoder_decoder"] = f"{CHECKPOINT}: sentence_bert_config.json"
    else:
        spec = decider.folder.encoder_decoder if decider.folder else None
        if spec is not None:
            decider.sources["encoder_decoder"] = decider.folder_source
    if (template.tokenize == "decoder") != (spec is not None):
        raise SpecError(
            f"{decider.facts.name}: a template parts what encoder and decoder read by one "
            "{{ decoder }}, and needs a family with [encoder_decoder]; here is one without the "
            "other. Mend the template, or name the family with processor=..."
        )
    if decider.user.chunk_size != "native":
        decider.sources["encoder_decoder"] = USER
    return _with_chunk_size(spec, decider.user.chunk_size, decider.facts.name)


def _saved(said: Any, name: str) -> EncoderDecoderSpec:
    """What a checkpoint's ST files say. Raises CheckpointError for anything but our own fields."""
    known = {field.name for field in fields(EncoderDecoderSpec)}
    is_known = isinstance(said, dict) and set(said) <= known
    if not is_known or not all(value is None or type(value) is int for value in said.values()):
        raise CheckpointError(
            f"{name}: encoder_decoder of its sentence-transformers files is {shorten(said)}, and "
            f"takes whole numbers or null for {', '.join(sorted(known))}"
        )
    return EncoderDecoderSpec(**said)


def _with_chunk_size(
    spec: EncoderDecoderSpec | None, wanted: ChunkSize, name: str
) -> EncoderDecoderSpec | None:
    """The spec as the caller wants it. Raises InputError where there is nothing to pool, or for
    no positive number.
    """
    if wanted == "native":
        return spec
    if spec is None:
        raise InputError(
            f"chunk_size={shorten(wanted)}: {name} has no encoder that reads documents by "
            "themselves, so nothing is pooled. Leave it out of model_kwargs."
        )
    if wanted is not None and (type(wanted) is not int or wanted <= 0):
        raise InputError(
            f"chunk_size={shorten(wanted)}: needs a whole number above 0, or None for no pooling"
        )
    return replace(spec, chunk_size=wanted)
