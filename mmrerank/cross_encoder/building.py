"""The build line for a CrossEncoder: name to folder to facts to spec to modules."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmrerank.cross_encoder.head_modules import HeadSource, complete_modules
from mmrerank.cross_encoder.transformer import Transformer
from mmrerank.errors import CheckpointError, UntrustedCode
from mmrerank.heads import (
    Activation,
    LogitScore,
    Pooling,
    activation_by_name,
    build_head,
    checked_layer,
)
from mmrerank.models import (
    EMBEDDED_MODEL,
    LoadOptions,
    base_of,
    fetch_checkpoint,
    is_restated,
    load_backbone,
    load_head_modules,
    lower_case_as_stored,
    runs_as_restated,
    task_of,
    with_stored_options,
)
from mmrerank.specs import HeadSpec, PixelBudget, ResolvedSpec, SpecOverrides, read_facts, resolve

__all__ = ["Built", "HubOptions", "Wishes", "best_device", "build", "load_options"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HubOptions:
    """Where and how to look for a checkpoint."""

    cache_folder: str | None = None
    revision: str | None = None
    local_files_only: bool = False
    token: bool | str | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """Modules in order, what was decided, and the activation that the decision names.

    saved: what the checkpoint's config_sentence_transformers.json holds.
    """

    modules: list[nn.Module]
    spec: ResolvedSpec
    activation: Activation
    saved: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """The caller's arguments, sorted by who reads them."""

    hub: HubOptions
    options: LoadOptions
    user: SpecOverrides


def load_options(
    model_kwargs: Mapping[str, Any] | None,
    processor_kwargs: Mapping[str, Any] | None,
    config_kwargs: Mapping[str, Any] | None,
    num_labels: int | None,
    trust_remote_code: bool,
) -> LoadOptions:
    """The arguments for transformers; num_labels is one of the config's."""
    labels = {} if num_labels is None else {"num_labels": num_labels}
    return LoadOptions(
        model=dict(model_kwargs or {}),
        processor=dict(processor_kwargs or {}),
        config={**(config_kwargs or {}), **labels},
        trust_remote_code=trust_remote_code,
    )


def build(
    name: str | None,
    modules: Sequence[nn.Module] | Mapping[str, nn.Module] | None,
    wishes: Wishes,
) -> Built:
    """Modules that the caller put together, else the named checkpoint, else the embedded one."""
    processor = dict(wishes.options.processor)
    user = wishes.user
    if "chat_template" in processor:
        user = replace(user, chat_template=processor.pop("chat_template"))
    if {"min_pixels", "max_pixels"} <= set(processor):
        # transformers has renamed these to `size`; here they are the budget of a picture.
        pixels = PixelBudget(processor.pop("min_pixels"), processor.pop("max_pixels"))
        user = replace(user, image=pixels)
    if user.max_length is not None:
        processor["model_max_length"] = user.max_length
    model = dict(wishes.options.model)
    if "chunk_size" in model:  # as one vendor's model cards have it
        user = replace(user, chunk_size=model.pop("chunk_size"))
    options = replace(wishes.options, processor=processor, model=model)
    if modules is None:
        return _build_from_name(name or EMBEDDED_MODEL, wishes.hub, options, user)
    return _build_from_modules(
        list(modules.values() if isinstance(modules, Mapping) else modules), user
    )


def _build_from_name(
    name: str, hub: HubOptions, options: LoadOptions, user: SpecOverrides
) -> Built:
    """Load a checkpoint by folder, embedded name or repository id."""
    trust = options.trust_remote_code
    fetch = partial(
        fetch_checkpoint,
        cache_folder=hub.cache_folder,
        local_files_only=hub.local_files_only,
        token=hub.token,
        trust_remote_code=trust,
        allow_pickle=_reads_pickle(options),
    )
    folder = fetch(name, revision=hub.revision)
    base = base_of(folder, fetch)
    files, weights = (base.files, base.weights) if base else (folder, None)
    facts = read_facts(name, files, config_overrides=options.config, config_folder=weights)
    options = with_stored_options(options, facts)
    spec = resolve(facts, user)
    root = files / facts.st.transformer_path
    own = base.weights if base else root
    _check_trust(spec, options, name, own)
    options = _without_vendors_code(spec, options, name, own)
    if spec.pair_method is not None:
        said = {**spec.pair_method.processor, **options.processor}
        options = replace(options, processor=said)
    task = task_of(spec.head.kind, facts, spec.model.task)
    layer = checked_layer(spec.head, facts.config, name)
    backbone = load_backbone(
        root,
        task,
        options,
        name=name,
        dtype=spec.dtype,
        base=base,
        num_layers=layer,
        has_own_head=bool(spec.head.weights),
    )
    # The checkpoint's own modules, unless the head was decided elsewhere.
    is_own_head = spec.sources["head"].startswith("checkpoint")
    modules = (
        load_head_modules(
            files, facts, trust_remote_code=trust, allow_pickle=_reads_pickle(options)
        )
        if is_own_head
        else []
    )
    source = HeadSource(name, own, facts.config, backbone)
    modules = complete_modules(modules, spec.head, source)
    lower_case_as_stored(backbone.tokenizer, facts)
    transformer = Transformer.from_backbone(backbone, facts)
    activation = _activation(spec, modules, transformer, trust_remote_code=trust)
    return Built([transformer, *modules], spec, activation, saved=facts.st.model)


def _check_trust(spec: ResolvedSpec, options: LoadOptions, name: str, folder: Path) -> None:
    needs_code = spec.model.remote_code and not runs_as_restated(folder)
    if needs_code and not options.trust_remote_code:
        raise UntrustedCode(
            f"{name}: models of the family {spec.family!r} run Python files of their own "
            "repository. Read those, and if you trust them pass trust_remote_code=True."
        )


def _reads_pickle(options: LoadOptions) -> bool:
    """Whether the caller trusts pickled weights."""
    return options.model.get("use_safetensors") is False


def _without_vendors_code(
    spec: ResolvedSpec, options: LoadOptions, name: str, folder: Path
) -> LoadOptions:
    """Where a class of transformers, or the family's folder, stands in for the vendor's Python
    files, they are not run.
    """
    has_stand_in = is_restated(folder) or (spec.is_restated and not spec.model.remote_code)
    if not has_stand_in or not options.trust_remote_code:
        return options
    logger.warning(
        "%s: its Python files are not run: the family %r is computed without them. "
        "trust_remote_code=True is not needed.",
        name,
        spec.family,
    )
    return replace(options, trust_remote_code=False)


def _build_from_modules(modules: Sequence[nn.Module], user: SpecOverrides) -> Built:
    """Decide for modules that the caller has put together.

    Raises CheckpointError unless the first one is a Transformer.
    """
    first = modules[0] if modules else None
    if not isinstance(first, Transformer):
        raise CheckpointError(
            f"modules must begin with a Transformer, got {type(first).__name__}. Example: "
            "modules=[Transformer(path, transformer_task='text-generation'), LogitScore(9, 7)]."
        )
    spec = resolve(first.facts, replace(user, head=_head_of(first, modules[1:])))
    return Built(list(modules), spec, _activation(spec, modules[1:], first))


def _activation(
    spec: ResolvedSpec,
    modules: Sequence[nn.Module],
    transformer: Transformer,
    *,
    trust_remote_code: bool = False,
) -> Activation:
    num_labels = build_head(spec.head, modules, transformer.model).num_labels
    return activation_by_name(
        spec.head.activation, num_labels=num_labels, trust_remote_code=trust_remote_code
    )


def _head_of(first: Transformer, rest: Sequence[nn.Module]) -> HeadSpec:
    score = next((module for module in rest if isinstance(module, LogitScore)), None)
    if score is not None:
        return HeadSpec(
            "logit-score", true_token=score.true_token_id, false_token=score.false_token_id
        )
    if any(isinstance(module, Pooling) for module in rest):
        return HeadSpec("chain")
    if first.transformer_task == "sequence-classification":
        return HeadSpec("builtin")
    raise CheckpointError(
        f"a Transformer of task {first.transformer_task!r} needs a head behind it: "
        "LogitScore, or Pooling and Dense with module_output_name='scores'"
    )


def best_device() -> str:
    """cuda, mps, npu or cpu: the first that is there."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    npu = getattr(torch, "npu", None)
    return "npu" if npu is not None and npu.is_available() else "cpu"
