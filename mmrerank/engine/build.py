"""Which engine runs a model: decided once, when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from mmrerank.engine.fused import FastForwards, Fused, FusedBerts, FusedDecoders, FusedMLPs
from mmrerank.engine.generate import build_writing_engine
from mmrerank.engine.inputs import Positions, first_position
from mmrerank.engine.interface import Engine, EngineCaches
from mmrerank.engine.last_layer import LastLayer
from mmrerank.engine.linear import FastLinears
from mmrerank.engine.media_states import TowerRunner
from mmrerank.engine.packed import PackedRunner
from mmrerank.engine.padded import PaddedRunner
from mmrerank.engine.patches import FastPatches
from mmrerank.engine.probe import ProbingEngine, gives_equal_states
from mmrerank.engine.run import PackedEngine
from mmrerank.engine.run_padded import PaddedEngine
from mmrerank.engine.seq2seq import Seq2SeqEngine, Seq2SeqRunner
from mmrerank.engine.two_parts import TwoPartEngine, TwoPartRunner
from mmrerank.heads import Head
from mmrerank.models.architectures import (
    LAST_LAYER,
    NEVER_PACKED,
    PACKED,
    PACKED_WITH_MEDIA,
)
from mmrerank.models.vendors_code import runs_vendors_code
from mmrerank.specs import EncoderDecoderSpec

__all__ = ["build_engine"]

_KIND_OF_NUMBER = {1: "image", 2: "video", 3: "audio"}


def build_engine(
    model: Any,
    head: Head,
    padded: PaddedRunner,
    *,
    token_types: Mapping[int, int],
    caches: EngineCaches,
    may_pack: bool = True,
    encoder_decoder: EncoderDecoderSpec | None = None,
    max_new_tokens: int = 0,
) -> Engine:
    """Packed where the architecture gives the same states so, known or found out; else padded.
    Encoder-decoders have an engine of their own.

    token_types: placeholder id -> 1 image, 2 video, 3 audio. encoder_decoder: given where prompts
    have two parts. max_new_tokens: of an answer, where that is what the head reads.
    """
    if encoder_decoder is not None:
        return TwoPartEngine(TwoPartRunner(model, padded, encoder_decoder.chunk_size))
    if head.reads == "answer":
        return build_writing_engine(model, padded, max_new_tokens)
    if model.config.is_encoder_decoder and head.reads == "position":
        return Seq2SeqEngine(Seq2SeqRunner(model, padded))
    text_model = model.get_decoder()
    model_type = text_model.config.model_type
    if not may_pack or head.reads == "logits" or model_type in NEVER_PACKED:
        return PaddedEngine(padded)
    base = model.base_model
    is_vendors = runs_vendors_code(text_model) or runs_vendors_code(model)
    is_shown = model_type in PACKED and not is_vendors
    is_listed = is_shown and model.config.model_type in PACKED_WITH_MEDIA
    if base is not text_model and not is_listed:
        return PaddedEngine(padded)  # a probe of text would say nothing of its media
    is_causal = any(getattr(module, "is_causal", False) for module in text_model.modules())
    if is_causal and not getattr(text_model.config, "is_causal", True):
        return PaddedEngine(
            padded
        )  # its masks let it read both ways, and its modules do not say so
    last_layer = _last_layer(text_model) if head.reads == "position" and not is_vendors else None
    linears = FastLinears(base, caches.max_weight_bytes)
    fast = FastForwards(linears, *([] if is_vendors else _fused(base, text_model)))
    towers = None
    if base is not text_model:
        placeholders = {_KIND_OF_NUMBER[number]: token for token, number in token_types.items()}
        towers = TowerRunner(base, text_model, placeholders, fast)
    runner = PackedRunner(
        text_model,
        head,
        Positions(base, token_types, first=first_position(text_model.config)),
        placeholder_ids=list(token_types),
        last_layer=last_layer,
        fast=fast,
    )
    shares = is_causal and head.reads == "position"
    packed = PackedEngine(model, runner, towers, shares=shares, caches=caches)
    if is_shown:
        return packed
    probe = partial(
        gives_equal_states, runner, padded, shares=shares, vocab_size=text_model.config.vocab_size
    )
    return ProbingEngine(
        packed, PaddedEngine(padded), lambda device: probe(device=device), model_type
    )


def _fused(base: Any, text_model: Any) -> list[Fused]:
    found: list[Fused] = [FastPatches(base), FusedMLPs(base)]
    kind = LAST_LAYER.get(text_model.config.model_type)
    if kind == "bert":
        found.append(FusedBerts(text_model))
    elif kind == "decoder":
        found.append(FusedDecoders(text_model))
    return found


def _last_layer(text_model: Any) -> LastLayer | None:
    kind = LAST_LAYER.get(text_model.config.model_type)
    return None if kind is None else LastLayer(text_model, kind)
