"""Weights, tokenizer and media processor into memory. The only place that calls from_pretrained."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoProcessor, AutoTokenizer

from mmrerank.errors import CheckpointError, MMRerankError
from mmrerank.models.adapters import AdapterBase, attach_adapter
from mmrerank.models.architectures import CLASS_FOR, CONFIG_FOR
from mmrerank.models.older_transformers import (
    complete_config,
    complete_model,
    needs_tensors,
    older_names,
    tensors_while_constructed,
)
from mmrerank.models.refusals import loading_error, refuse_unknown_quantization
from mmrerank.models.restate import (
    is_restated,
    quiet_where,
    restated_config,
    restated_weights,
)
from mmrerank.models.vendors_code import runs_vendors_code
from mmrerank.specs import CheckpointFacts

__all__ = ["Backbone", "LoadOptions", "load_backbone", "task_of"]

logger = logging.getLogger(__name__)

_AUTO_CLASS = {
    "sequence-classification": "AutoModelForSequenceClassification",
    "text-generation": "AutoModelForCausalLM",
    "any-to-any": "AutoModelForMultimodalLM",
    "feature-extraction": "AutoModel",
    "seq2seq": "AutoModelForSeq2SeqLM",
}
_LOADING_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError)
_TASK_OF_HEAD = {
    "builtin": "sequence-classification",
    "chain": "feature-extraction",
    "cosine": "feature-extraction",
    "layer": "feature-extraction",
    "mlp": "feature-extraction",
}


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


def task_of(head_kind: str, facts: CheckpointFacts, wanted: str = "") -> str:
    """Which kind of model to load for a head; between the kinds of language model the ST files
    decide, then `wanted`, the family's word.
    """
    if head_kind in _TASK_OF_HEAD:
        return _TASK_OF_HEAD[head_kind]
    said = facts.st.transformer.get("transformer_task")
    if said in ("text-generation", "any-to-any", "seq2seq"):
        return str(said)
    if wanted:
        return wanted
    return "text-generation" if facts.architecture.endswith("ForCausalLM") else "any-to-any"


def load_backbone(
    folder: Path,
    task: str,
    options: LoadOptions,
    *,
    name: str,
    dtype: str = "",
    base: AdapterBase | None = None,
    num_layers: int | None = None,
    has_own_head: bool = False,
) -> Backbone:
    """Load model, tokenizer and media processor from a folder.

    dtype: of the weights in memory unless the options name one; "" = as stored. base: given for an
    adapter; its weights are loaded in the folder's place. num_layers: load the first layers alone.
    has_own_head: the files hold weights of a head beside the model's, which are read elsewhere.
    Raises CheckpointError with transformers' reason when that fails.
    """
    weights = base.weights if base else folder
    refuse_unknown_quantization(name, weights)
    with quiet_where(has_own_head or is_restated(weights)):
        return _load(folder, weights, task, options, name, dtype, base, num_layers)


def _load(
    folder: Path,
    weights: Path,
    task: str,
    options: LoadOptions,
    name: str,
    dtype: str,
    base: AdapterBase | None,
    num_layers: int | None,
) -> Backbone:
    trust = {"trust_remote_code": options.trust_remote_code}
    # Beside what transformers raises, whatever a vendor's files may.
    expected = (Exception,) if options.trust_remote_code else _LOADING_ERRORS
    try:
        config = restated_config(weights, options.config, num_layers)
        if config is None:
            config = _read_config(weights, options)
        config = _of_part(config)
        _set_labels(config, task, options)
        _without_cache(config)
        if not options.trust_remote_code:
            # The class is one of transformers; a saved copy must not ask for the vendor's code.
            vars(config).pop("auto_map", None)
        model = _load_model(weights, task, config, options, name, dtype)
        # What an adapter that is made later names as its base.
        model.name_or_path = base.name if base else _portable(name, folder)
        if base:
            attach_adapter(model, base.adapter)
        # Encoder-decoders are asked about text: what others of their type need for pictures may be
        # missing, and AutoProcessor would ask for it.
        reader: Any = AutoTokenizer if task == "seq2seq" else AutoProcessor
        processor = reader.from_pretrained(folder, **trust, **options.processor)
    except MMRerankError:
        raise
    except expected as error:
        raise loading_error(
            name, weights, error, trust_remote_code=options.trust_remote_code
        ) from error
    tokenizer = getattr(processor, "tokenizer", processor)
    _cap_length(tokenizer, model.config, options)
    # The config of a vendor's own class may have no such field.
    if getattr(model.config.get_text_config(), "pad_token_id", None) is None:
        # Some sequence classifiers refuse batches without it; the padding is masked out in any
        # case.
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    if task in ("text-generation", "any-to-any"):
        tokenizer.padding_side = (
            "left"  # what the peer's module form reads; the runner pads as it likes
        )
    return Backbone(model=model.eval(), processor=processor, tokenizer=tokenizer, task=task)


def _read_config(folder: Path, options: LoadOptions) -> Any:
    if not options.trust_remote_code:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False, **options.config)
    with older_names():
        config = AutoConfig.from_pretrained(folder, trust_remote_code=True, **options.config)
    complete_config(config)
    return config


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
    restated = restated_weights(folder, model=name)
    if restated is not None:
        cls, weights = restated
        arguments = {**arguments, "use_safetensors": None, "state_dict": weights}
        model, report = _from_pretrained(cls, None, config, arguments)
    elif options.trust_remote_code:
        model, report = _load_vendors_model(cls, folder, config, arguments)
        if runs_vendors_code(model):
            complete_model(name, model)
    else:
        model, report = _from_pretrained(cls, folder, config, arguments)
    _report_missing(name, task, model, report)
    return model


def _load_vendors_model(
    cls: Any, folder: Path, config: Any, arguments: Mapping[str, Any]
) -> tuple[Any, Any]:
    with older_names():
        try:
            return _from_pretrained(cls, folder, config, arguments)
        except Exception as error:
            if not needs_tensors(error):
                raise
        with tensors_while_constructed():
            return _from_pretrained(cls, folder, config, arguments)


def _from_pretrained(
    cls: Any, folder: Path | None, config: Any, arguments: Mapping[str, Any]
) -> tuple[Any, Any]:
    model, report = cls.from_pretrained(
        folder, config=config, output_loading_info=True, **arguments
    )
    return model, report


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
            extra={"random_weights": missing},  # for whoever asks afterwards what is wrong
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


def _of_part(config: Any) -> Any:
    """The config of the part that is loaded, where a model has more parts than scores need."""
    name = CONFIG_FOR.get(config.model_type)
    return config if name is None else getattr(config, name)


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
