"""Weights, tokenizer and media processor into memory. The only place that calls from_pretrained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoProcessor

from mmrerank.errors import CheckpointError, MMRerankError
from mmrerank.heads import Dense, LayerNorm, LogitScore, Pooling, activation_by_name
from mmrerank.models.adapters import AdapterBase, attach_adapter
from mmrerank.models.architectures import CLASS_FOR
from mmrerank.specs import CheckpointFacts

__all__ = ["Backbone", "LoadOptions", "load_backbone", "load_head_modules", "task_of"]

logger = logging.getLogger(__name__)

_AUTO_CLASS = {
    "sequence-classification": "AutoModelForSequenceClassification",
    "text-generation": "AutoModelForCausalLM",
    "any-to-any": "AutoModelForMultimodalLM",
    "feature-extraction": "AutoModel",
}
_TASK_OF_HEAD = {"builtin": "sequence-classification", "chain": "feature-extraction"}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The caller's arguments for the from_pretrained of model, processor and config."""

    model: Mapping[str, Any] = field(default_factory=dict)
    processor: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class Backbone:
    """What transformers loaded. processor is the tokenizer itself for text models."""

    model: Any
    processor: Any
    tokenizer: Any
    task: str


def task_of(head_kind: str, facts: CheckpointFacts) -> str:
    """Which kind of model to load for a head; between the two kinds of language model the ST files
    decide.
    """
    if head_kind in _TASK_OF_HEAD:
        return _TASK_OF_HEAD[head_kind]
    said = facts.st.transformer.get("transformer_task")
    if said in ("text-generation", "any-to-any"):
        return str(said)
    return "text-generation" if facts.architecture.endswith("ForCausalLM") else "any-to-any"


def load_backbone(
    folder: Path,
    task: str,
    options: LoadOptions,
    *,
    name: str,
    dtype: str = "",
    base: AdapterBase | None = None,
) -> Backbone:
    """Load model, tokenizer and media processor from a folder.

    dtype: of the weights in memory unless the options name one; "" = as stored. base: given for an
    adapter; its weights are loaded in the folder's place.
    Raises CheckpointError with transformers' reason when that fails.
    """
    trust = {"trust_remote_code": options.trust_remote_code}
    weights = base.weights if base else folder
    try:
        config = AutoConfig.from_pretrained(weights, **trust, **options.config)
        _set_labels(config, task, options)
        _without_cache(config)
        model = _load_model(weights, task, config, options, name, dtype)
        # What an adapter that is made later names as its base.
        model.name_or_path = base.name if base else _portable(name, folder)
        if base:
            attach_adapter(model, base.adapter)
        processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, **trust, **options.processor
        )
    except MMRerankError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise CheckpointError(f"{name}: transformers cannot load it: {error}") from error
    tokenizer = getattr(processor, "tokenizer", processor)
    _cap_length(tokenizer, model.config, options)
    if model.config.get_text_config().pad_token_id is None:
        # Some sequence classifiers refuse batches without it; the padding is masked out in any
        # case.
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    if task in ("text-generation", "any-to-any"):
        tokenizer.padding_side = (
            "left"  # what the peer's module form reads; the runner pads as it likes
        )
    return Backbone(model=model.eval(), processor=processor, tokenizer=tokenizer, task=task)


def _portable(name: str, folder: Path) -> str:
    """The folder, or the name that it was fetched under: a cache's path means nothing elsewhere."""
    return str(folder) if Path(name).is_dir() else name


def _load_model(
    folder: Path, task: str, config: Any, options: LoadOptions, name: str, dtype: str
) -> Any:
    arguments: dict[str, Any] = {"use_safetensors": True, **options.model}
    if dtype and not {"dtype", "torch_dtype"} & set(arguments):
        arguments["dtype"] = dtype
    known = task in ("text-generation", "any-to-any") and config.model_type in CLASS_FOR
    cls = getattr(transformers, CLASS_FOR[config.model_type] if known else _AUTO_CLASS[task])
    if cls.__name__.startswith("Auto"):
        arguments["trust_remote_code"] = options.trust_remote_code
    model, report = cls.from_pretrained(
        folder, config=config, output_loading_info=True, **arguments
    )
    _report_missing(name, task, model, report)
    return model


def _report_missing(name: str, task: str, model: Any, report: Any) -> None:
    """Weights that the checkpoint does not have are random: a new classifier may be, no layer."""
    # A tied output layer is not reported as missing.
    missing = sorted(report["missing_keys"])
    layers = [
        key
        for key in missing
        if key.startswith(f"{model.base_model_prefix}.") and ".pooler." not in key
    ]
    if missing and not layers and task == "sequence-classification":
        logger.warning(
            "%s has no trained classifier: %s start from random numbers. Train before use.",
            name,
            ", ".join(missing),
        )
    elif missing:
        raise CheckpointError(
            f"{name}: the checkpoint lacks {len(missing)} weights of this architecture "
            f"({', '.join(missing[:4])}), which would be random numbers. It is another kind of "
            "model than its config.json says, or incomplete."
        )


def _set_labels(config: Any, task: str, options: LoadOptions) -> None:
    """A classifier to be trained gets one label unless the caller says otherwise."""
    is_classifier = any(a.endswith("ForSequenceClassification") for a in config.architectures or [])
    if (
        task == "sequence-classification"
        and "num_labels" not in options.config
        and not is_classifier
    ):
        config.num_labels = 1


def _without_cache(config: Any) -> None:
    """Nothing is generated here, so no keys and values are kept."""
    if hasattr(config, "use_cache"):
        config.use_cache = False
    for name in config.sub_configs:
        sub = getattr(config, name, None)
        if sub is not None:
            _without_cache(sub)


def _cap_length(tokenizer: Any, config: Any, options: LoadOptions) -> None:
    """The tokenizer's limit, but never more than the model's learned positions; the peer's rule."""
    limit = getattr(config, "max_position_embeddings", -1)
    if "model_max_length" not in options.processor and limit not in (None, -1):
        tokenizer.model_max_length = min(tokenizer.model_max_length, limit)


def load_head_modules(
    folder: Path, facts: CheckpointFacts, *, trust_remote_code: bool = False
) -> list[nn.Module]:
    """The checkpoint's modules after the transformer, with their weights.

    Raises CheckpointError for a module of a kind that is not known here.
    """
    return [
        _load_module(module.kind, folder / module.path, dict(module.config), trust_remote_code)
        for module in facts.st.head_modules
    ]


def _load_module(
    kind: str, folder: Path, config: dict[str, Any], trust_remote_code: bool
) -> nn.Module:
    module: nn.Module
    if kind == "LogitScore":
        return LogitScore(
            **{key: value for key, value in config.items() if key in LogitScore.config_keys}
        )
    if kind == "Pooling":
        return Pooling(**_pooling_config(config))
    if kind == "Dense":
        name = str(config.pop("activation_function", ""))
        known = {key: value for key, value in config.items() if key in Dense.config_keys}
        activation = activation_by_name(
            name or "torch.nn.Tanh", num_labels=2, trust_remote_code=trust_remote_code
        )
        module = Dense(**known, activation_function=activation)
    elif kind == "LayerNorm":
        module = LayerNorm(**config)
    else:
        raise CheckpointError(
            f"modules.json names a module of kind {kind!r}, which is not known here"
        )
    module.load_state_dict(load_file(folder / "model.safetensors"))
    return module


def _pooling_config(config: dict[str, Any]) -> dict[str, Any]:
    """Older files name the dimension otherwise and carry one flag a mode."""
    old = {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens": "weightedmean",
        "pooling_mode_lasttoken": "lasttoken",
    }
    modes = [mode for flag, mode in old.items() if config.get(flag)] or ["mean"]
    return {
        "embedding_dimension": config.get(
            "embedding_dimension", config.get("word_embedding_dimension")
        ),
        "pooling_mode": config.get("pooling_mode", modes),
        "include_prompt": config.get("include_prompt", True),
    }
