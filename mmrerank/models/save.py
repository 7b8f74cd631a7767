"""Weights and files out, in the form that sentence-transformers 6.2 reads."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from mmrerank.errors import CheckpointError
from mmrerank.models.adapters import ADAPTER_FILES, has_adapter, naming_local_base
from mmrerank.models.load import Backbone
from mmrerank.models.save_as_published import save_as_published
from mmrerank.models.special_tokens import with_written_tokens
from mmrerank.models.suffix import appending
from mmrerank.models.vendors_config import save_with_own_fields
from mmrerank.specs import ResolvedSpec
from mmrerank.specs.recorded import write_record
from mmrerank.specs.st_format import (
    ENCODER_DECODER,
    LOGIT_SCORE_TYPE,
    SPECIAL_TOKENS,
    TRANSFORMER_TYPE,
    StFiles,
    StModule,
    write_st_files,
)

__all__ = ["OUTPUT_OF_TASK", "save_model", "st_transformer_config"]

logger = logging.getLogger(__name__)

_TYPES = {
    "LogitScore": LOGIT_SCORE_TYPE,
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
}
# Task -> what transformers calls its output, and what the peer's module form does.
OUTPUT_OF_TASK = {
    "sequence-classification": ("logits", "scores"),
    "text-generation": ("logits", "causal_logits"),
    "any-to-any": ("logits", "causal_logits"),
    "seq2seq": ("logits", "causal_logits"),
    "feature-extraction": ("last_hidden_state", "token_embeddings"),
}


def save_model(
    folder: Path,
    backbone: Backbone,
    modules: Sequence[Any],
    spec: ResolvedSpec,
    model_config: Mapping[str, Any],
    *,
    card: str | None = None,
    safe_serialization: bool = True,
) -> None:
    """Write a checkpoint folder.

    card: text of README.md; None leaves it out.

    modules: those after the transformer. model_config: content of
    config_sentence_transformers.json. Of a model with adapters only the active one is written,
    beside the name of its base. Raises CheckpointError when that cannot be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf-8")
    if spec.listwise is not None:
        head = {name: own for module in modules for name, own in module.named_weights().items()}
        save_as_published(
            folder, backbone, head, model_config, safe_serialization=safe_serialization
        )
        write_record(folder, spec)
        return
    spec = with_written_tokens(spec, backbone)
    _save_transformer(folder, backbone.model, safe_serialization=safe_serialization)
    _save_processor(folder, backbone, spec)
    write_record(folder, spec)
    entries = [StModule(kind="Transformer", path="", type=TRANSFORMER_TYPE)]
    for index, module in enumerate(modules, start=1):
        kind = type(module).__name__
        path = f"{index}_{kind}"
        entries.append(
            StModule(kind=kind, path=path, config=module.get_config_dict(), type=_TYPES[kind])
        )
        if any(True for _ in module.parameters()):
            _save_weights(folder / path, module)
    write_st_files(
        folder, StFiles(tuple(entries), st_transformer_config(backbone, spec), model_config)
    )
    if backbone.task == "seq2seq":
        logger.warning(
            "%s: mmrerank scores with this folder as before and transformers loads it, but "
            "sentence-transformers 6.2 has no encoder-decoder rerankers and refuses it.",
            folder,
        )


def _save_transformer(folder: Path, model: Any, *, safe_serialization: bool) -> None:
    """Weights and config, or the adapter; nothing of the other kind stays beside them."""
    if has_adapter(model):
        if (folder / "config.json").is_file():
            raise CheckpointError(
                f"{folder} holds a whole model, which an adapter beside it would change. Save the "
                "adapter to another folder, or call merge_adapter() first."
            )
        if len(model.active_adapters()) != 1:
            raise CheckpointError(
                f"the adapters {', '.join(model.active_adapters())} are active together, and one "
                "folder holds one. Call set_adapter(name) and save them one by one."
            )
        with naming_local_base(model, folder):
            model.save_pretrained(folder, safe_serialization=safe_serialization)
    else:
        for name in ADAPTER_FILES:  # or the weights would be changed by it when they are loaded
            (folder / name).unlink(missing_ok=True)
        save_with_own_fields(folder, model, safe_serialization=safe_serialization)


def st_transformer_config(backbone: Backbone, spec: ResolvedSpec) -> dict[str, Any]:
    """Content of sentence_bert_config.json."""
    method_output, module_output = OUTPUT_OF_TASK[backbone.task]
    entry = {"method": "forward", "method_output_name": method_output}
    modality_config: dict[str, Any] = {modality: dict(entry) for modality in spec.modalities}
    config: dict[str, Any] = {
        "transformer_task": backbone.task,
        "modality_config": modality_config,
        "module_output_name": module_output,
    }
    if spec.template.kind == "chat":
        modality_config["message"] = {**entry, "format": spec.template.content}
        processing = {**_processing_kwargs(spec), **_text_kwargs(spec)}
        if processing:
            config["processing_kwargs"] = processing
        config["unpad_inputs"] = False
    if spec.encoder_decoder is not None:
        config[ENCODER_DECODER] = asdict(spec.encoder_decoder)
    return config


def _processing_kwargs(spec: ResolvedSpec) -> dict[str, Any]:
    """The template's variables and the pixel budgets, under the keys that the peer reads."""
    saved: dict[str, Any] = {kind: dict(v) for kind, v in spec.budget.processor_kwargs.items()}
    for kind, budget in (("image", spec.budget.image), ("video", spec.budget.video)):
        if budget is not None:
            size = {"shortest_edge": budget.min_pixels, "longest_edge": budget.max_pixels}
            saved.setdefault(kind, {})["size"] = size
    if spec.budget.frame is not None:
        decode, frame = spec.budget.decode, spec.budget.frame
        saved.setdefault("video", {}).update(
            fps=decode.fps,
            min_frames=decode.min_frames,
            max_frames=decode.max_frames,
            # The nearest that the media processor can be told: it knows no least size of a frame.
            size={
                "shortest_edge": frame.min_pixels,
                "longest_edge": frame.max_pixels * decode.max_frames,
            },
            cap_pixels_per_frame=True,
        )
    variables = dict(spec.template.options)
    if spec.template.special_tokens is not None:
        variables[SPECIAL_TOKENS] = spec.template.special_tokens
    if variables:
        saved["chat_template"] = variables
    return saved


def _text_kwargs(spec: ResolvedSpec) -> dict[str, Any]:
    """What the tokenizer is told."""
    limit = spec.truncation.max_length
    is_text = spec.modalities == ("text",)
    return {"text": {"max_length": limit}} if is_text and limit is not None else {}


def _save_processor(folder: Path, backbone: Backbone, spec: ResolvedSpec) -> None:
    """The template in force is saved as the only one, so that any tool that loads the folder
    renders it.
    """
    owners = [backbone.processor, backbone.tokenizer]
    saved = [owner.chat_template for owner in owners]
    try:
        for owner in owners if spec.template.kind == "chat" else []:
            owner.chat_template = spec.template.text
        has_processor = backbone.processor is not backbone.tokenizer
        ids = spec.template.suffix_ids
        with appending(backbone.tokenizer, ids, has_processor=has_processor):
            backbone.processor.save_pretrained(folder)
    finally:
        for owner, template in zip(owners, saved, strict=True):
            owner.chat_template = template


def _save_weights(folder: Path, module: nn.Module) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in module.state_dict().items()},
        folder / "model.safetensors",
    )
