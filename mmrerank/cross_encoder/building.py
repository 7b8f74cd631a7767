"""The build line for a CrossEncoder: name to folder to facts to spec to modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from mmrerank.cross_encoder.transformer import Transformer
from mmrerank.errors import CheckpointError
from mmrerank.heads import Activation, LogitScore, Pooling, activation_by_name, make_logit_score
from mmrerank.models import LoadOptions, fetch_checkpoint, load_backbone, load_head_modules, task_of
from mmrerank.specs import HeadSpec, ResolvedSpec, SpecOverrides, read_facts, resolve

__all__ = ["Built", "HubOptions", "best_device", "build_from_modules", "build_from_name"]


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


def build_from_name(name: str, hub: HubOptions, options: LoadOptions, user: SpecOverrides) -> Built:
    """Load a checkpoint by folder, embedded name or repository id."""
    pickles = options.model.get("use_safetensors") is False
    folder = fetch_checkpoint(
        name,
        revision=hub.revision,
        cache_folder=hub.cache_folder,
        local_files_only=hub.local_files_only,
        token=hub.token,
        trust_remote_code=options.trust_remote_code,
        allow_pickle=pickles,
    )
    facts = read_facts(name, folder, config_overrides=options.config)
    spec = resolve(facts, user)
    root = folder / next(
        (module.path for module in facts.st.modules if module.kind == "Transformer"), ""
    )
    task = task_of(spec.head.kind, facts)
    backbone = load_backbone(root, task, options, name=name, dtype=spec.dtype)
    transformer = Transformer.from_backbone(backbone, facts)
    keeps_modules = spec.sources["head"].startswith("checkpoint") and bool(facts.st.head_modules)
    modules = (
        load_head_modules(folder, facts, trust_remote_code=options.trust_remote_code)
        if keeps_modules
        else []
    )
    if spec.head.kind == "logit-score" and not modules:
        modules = [make_logit_score(spec.head, backbone.tokenizer, name)]
    num_labels = int(backbone.model.config.num_labels) if spec.head.kind == "builtin" else 1
    activation = activation_by_name(
        spec.head.activation, num_labels=num_labels, trust_remote_code=options.trust_remote_code
    )
    return Built([transformer, *modules], spec, activation, saved=facts.st.model)


def build_from_modules(modules: Sequence[nn.Module], user: SpecOverrides) -> Built:
    """Decide for modules that the caller has put together.

    Raises CheckpointError unless the first one is a Transformer.
    """
    first = modules[0] if modules else None
    if not isinstance(first, Transformer):
        raise CheckpointError(
            f"modules must begin with a Transformer, got {type(first).__name__}. "
            "Example: modules=[Transformer(path, transformer_task='text-generation'), "
            "LogitScore(9693, 2152)]."
        )
    head = _head_of(first, modules[1:])
    spec = resolve(first.facts, replace(user, head=head))
    num_labels = int(first.config.num_labels) if head.kind == "builtin" else 1
    return Built(
        list(modules), spec, activation_by_name(spec.head.activation, num_labels=num_labels)
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
