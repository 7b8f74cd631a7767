"""All decisions of the build line, in one place: user > checkpoint > folder > guess, each with its
source.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from mmrerank.errors import InputError
from mmrerank.specs.decider import CHECKPOINT, GUESS, USER, Decider, SpecOverrides
from mmrerank.specs.facts import CheckpointFacts
from mmrerank.specs.folders import find_processor, list_processors
from mmrerank.specs.listwise import LISTWISE_HEADS
from mmrerank.specs.match import best_match
from mmrerank.specs.page import head_in_words
from mmrerank.specs.recorded import recorded_processor, recorded_truncation
from mmrerank.specs.resolve_decoder import decide_encoder_decoder
from mmrerank.specs.resolve_head import decide_head
from mmrerank.specs.schema import (
    BudgetSpec,
    ModelSpec,
    ProcessorSpec,
    ResolvedSpec,
    TemplateSpec,
    TruncationSpec,
)
from mmrerank.specs.st_format import SPECIAL_TOKENS
from mmrerank.types import MODALITIES, DecodeBudget, Modality

__all__ = ["SpecOverrides", "resolve"]

logger = logging.getLogger(__name__)

# Where a template of ours is tokenised piece by piece, or where the decoder's part begins; other
# readers put nothing in their place.
_PART = re.compile(r"\{\{-?\s*part\s*-?\}\}")
_DECODER = re.compile(r"\{\{-?\s*decoder\s*-?\}\}")


def resolve(facts: CheckpointFacts, user: SpecOverrides | None = None) -> ResolvedSpec:
    """Decide everything that the data line will need.

    Raises CheckpointError when nothing says how this model scores a pair, SpecError for a wrong
    `processor=`,
    InputError for an unknown default prompt.
    """
    user = user or SpecOverrides()
    if user.processor is not None:
        folder: ProcessorSpec | None = find_processor(user.processor)
    else:
        folder = recorded_processor(facts.record) or best_match(facts, list_processors())
    decider = Decider(facts, user, folder)
    template = _decide_template(decider)
    prompts, default_prompt_name = _decide_prompts(decider)
    head = decide_head(decider)
    spec = ResolvedSpec(
        name=facts.name,
        family=folder.name if folder else "sentence-transformers",
        modalities=_decide_modalities(decider),
        template=template,
        head=head,
        budget=_decide_budget(decider),
        truncation=_decide_truncation(decider, template),
        dtype=folder.dtype if folder else "",
        listwise=folder.listwise if folder and head.kind in LISTWISE_HEADS else None,
        pair_method=folder.pair_method if folder else None,
        encoder_decoder=decide_encoder_decoder(decider, template),
        model=folder.model if folder else ModelSpec(),
        query_modalities=folder.query_modalities if folder else (),
        document_modalities=folder.document_modalities if folder else (),
        prompts=prompts,
        default_prompt_name=default_prompt_name,
        is_shipped=folder is not None and not folder.guess and folder in list_processors(),
        sources=decider.sources,
    )
    if folder is not None and folder.guess and spec.sources["head"].startswith(GUESS):
        logger.warning(
            "%s: no file says how this model was trained to score pairs; the processor %r is a "
            "guess "
            "(head %s). Pass processor=... to silence this.",
            facts.name,
            folder.name,
            head_in_words(spec.head),
            extra={"guess": folder.name},  # for whoever asks afterwards what is wrong
        )
    return spec


def _decide_template(decider: Decider) -> TemplateSpec:
    facts, user, folder = decider.facts, decider.user, decider.folder
    if user.chat_template is not None:
        decider.sources["template"] = USER
        text = facts.templates.get(user.chat_template, user.chat_template)
        made = _made_template(text, facts)
        if folder is None or decider.has_st_form:
            return made
        return replace(made, special_tokens=folder.template.special_tokens)
    if folder is not None and folder.pair_method is not None:
        # The vendor's processor writes these prompts, in the peer too; no chat template does.
        decider.sources["template"] = decider.folder_source
        return folder.template
    takes_messages = "message" in facts.st.transformer.get("modality_config", {})
    if decider.has_st_form and takes_messages and facts.chosen_template:
        decider.sources["template"] = CHECKPOINT
        return _checkpoint_template(facts)
    if decider.has_st_form:
        decider.sources["template"] = CHECKPOINT
        return TemplateSpec(kind="tokenizer-pair")
    if user.processor is None and "reranker" in facts.templates:
        decider.sources["template"] = f"{CHECKPOINT}: named template"
        return _checkpoint_template(facts)
    if folder is not None and folder.template.kind != "checkpoint":
        decider.sources["template"] = decider.folder_source
        return folder.template
    decider.sources["template"] = CHECKPOINT
    return (
        _checkpoint_template(facts)
        if facts.chosen_template
        else TemplateSpec(kind="tokenizer-pair")
    )


def _checkpoint_template(facts: CheckpointFacts) -> TemplateSpec:
    return _made_template(facts.chosen_template, facts)


def _made_template(text: str, facts: CheckpointFacts) -> TemplateSpec:
    return TemplateSpec(
        kind="chat",
        text=text,
        content=_content_format(text, facts),
        options=_options(facts),
        special_tokens=_saved_special_tokens(facts),
        tokenize=_tokenize(text),
    )


def _tokenize(text: str) -> Literal["whole", "parts", "decoder"]:
    if _DECODER.search(text):
        return "decoder"
    return "parts" if _PART.search(text) else "whole"


def _saved_special_tokens(facts: CheckpointFacts) -> bool | None:
    variables = facts.st.transformer.get("processing_kwargs", {}).get("chat_template", {})
    said = variables.get(SPECIAL_TOKENS)
    return None if said is None else bool(said)


def _saved_text_kwargs(facts: CheckpointFacts) -> dict[str, Any]:
    """What the checkpoint's ST files hand to the tokenizer."""
    return dict(facts.st.transformer.get("processing_kwargs", {}).get("text", {}))


def _content_format(text: str, facts: CheckpointFacts) -> Any:
    """The ST files' word, else a look at whether the template loops over typed parts."""
    said = facts.st.transformer.get("modality_config", {}).get("message", {}).get("format")
    if said in ("structured", "flat"):
        return said
    loops = (
        "['type']",
        '["type"]',
        ".type",
        "is string",
        "in message.content",
        "in message['content']",
        "in content",
    )
    return "structured" if any(mark in text for mark in loops) else "flat"


def _options(facts: CheckpointFacts) -> dict[str, Any]:
    saved = facts.st.transformer.get("processing_kwargs", {}).get("chat_template", {})
    not_variables = {"chat_template", "restore_suffix", "truncation", "max_length", "padding"}
    not_variables.add(SPECIAL_TOKENS)
    return {key: value for key, value in saved.items() if key not in not_variables}


def _decide_prompts(decider: Decider) -> tuple[dict[str, str], str | None]:
    saved = decider.facts.st.model if decider.user.processor is None else {}
    prompts = {**(saved.get("prompts") or {}), **(decider.user.prompts or {})}
    default = decider.user.default_prompt_name or saved.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise InputError(
            f"Default prompt name {default!r} not found in the configured prompts dictionary with "
            "keys "
            f"{list(prompts)!r}."
        )
    return prompts, default


def _decide_modalities(decider: Decider) -> tuple[Modality, ...]:
    said = decider.facts.st.modalities
    if decider.has_st_form and said:
        decider.sources["modalities"] = f"{CHECKPOINT}: sentence_bert_config.json"
        return tuple(modality for modality in MODALITIES if modality in said)
    if decider.folder is not None:
        decider.sources["modalities"] = decider.folder_source
        return decider.folder.modalities
    decider.sources["modalities"] = f"{CHECKPOINT}: media processor"
    parts = {"image": "image_processor", "audio": "feature_extractor", "video": "video_processor"}
    return tuple(m for m in MODALITIES if m == "text" or parts[m] in decider.facts.media)


def _decide_budget(decider: Decider) -> BudgetSpec:
    budget, user = _file_budget(decider), decider.user
    decode = budget.decode
    decode = replace(
        decode,
        max_image_pixels=decode.max_image_pixels or _processor_pixels(decider, "image"),
        max_frame_pixels=decode.max_frame_pixels or _processor_pixels(decider, "video"),
        fast=decode.fast if user.fast_decode is None else user.fast_decode,
        sound_of_video=(
            decode.sound_of_video if user.sound_of_video is None else user.sound_of_video
        ),
    )
    for name in ("fast_decode", "sound_of_video"):
        if getattr(user, name) is not None:
            decider.sources["budget"] += f"; {name}: {USER}"
    if user.image is not None:
        decider.sources["budget"] += f"; image: {USER}"
    return replace(budget, decode=decode, image=user.image or budget.image)


def _processor_pixels(decider: Decider, kind: Literal["image", "video"]) -> int | None:
    """Most pixels that the checkpoint's media processor makes of one picture or frame.

    None where it says none, or counts sides: a long strip may then need more than their product.
    """
    media, saved = decider.facts.media, decider.facts.st.transformer.get("processing_kwargs", {})
    said = {**media.get(f"{kind}_processor", {}), **saved.get(kind, {})}
    most = said.get("max_pixels")
    if not most and "merge_size" in said:  # then "longest_edge" is a number of pixels in all
        most = (said.get("size") or {}).get("longest_edge")
    return int(most) if most else None


def _file_budget(decider: Decider) -> BudgetSpec:
    """ST form: as the checkpoint's media processor says, which the peer does; else the folder's."""
    folder = decider.folder
    if decider.has_st_form or folder is None:
        decider.sources["budget"] = f"{CHECKPOINT}: media processor"
        saved = decider.facts.st.transformer.get("processing_kwargs", {})
        return BudgetSpec(
            decode=_checkpoint_decode_budget(decider.facts.media, saved, DecodeBudget()),
            processor_kwargs={k: saved[k] for k in ("image", "audio", "video") if saved.get(k)},
        )
    decider.sources["budget"] = decider.folder_source
    rate = decider.facts.media.get("feature_extractor", {}).get("sampling_rate")
    decode = folder.budget.decode
    return replace(folder.budget, decode=replace(decode, sampling_rate_hz=rate) if rate else decode)


def _checkpoint_decode_budget(
    media: Mapping[str, Any], saved: Mapping[str, Any], default: DecodeBudget
) -> DecodeBudget:
    video = {**media.get("video_processor", {}), **saved.get("video", {})}
    audio = media.get("feature_extractor", {})
    min_frames = max(int(video.get("min_frames") or default.min_frames), 1)
    return DecodeBudget(
        sampling_rate_hz=int(audio.get("sampling_rate") or default.sampling_rate_hz),
        max_audio_s=float(audio.get("chunk_length") or default.max_audio_s),
        fps=float(video.get("fps") or default.fps),
        min_frames=min_frames,
        max_frames=max(int(video.get("max_frames") or default.max_frames), min_frames),
        frame_multiple=1,  # the media processor itself repeats the last frame where it must
    )


def _decide_truncation(decider: Decider, template: TemplateSpec) -> TruncationSpec:
    rule = TruncationSpec(rule="longest-first" if template.kind == "tokenizer-pair" else "document")
    # Of a prompt in two parts `max_length` is the encoder's.
    counts = template.tokenize != "decoder"
    decider.sources["truncation"] = CHECKPOINT
    if decider.has_st_form:
        rule = replace(rule, max_length=_saved_text_kwargs(decider.facts).get("max_length"))
        rule = recorded_truncation(decider.facts.record, rule)
    elif decider.folder is not None:
        rule = replace(decider.folder.truncation, rule=rule.rule)
        if rule.max_length is not None:
            decider.sources["truncation"] = decider.folder_source
    if decider.user.max_length is not None:
        decider.sources["truncation"] = USER
        rule = replace(rule, max_length=decider.user.max_length)
    return rule if counts else replace(rule, suffix_counts=False)
