"""Arguments of from_pretrained that older sentence-transformers files carry."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenizers import normalizers

from mmrerank.errors import shorten
from mmrerank.specs import CheckpointFacts

if TYPE_CHECKING:
    from mmrerank.models.load import LoadOptions

__all__ = ["lower_case_as_stored", "with_stored_options"]

logger = logging.getLogger(__name__)

# Old and new name of each group in sentence_bert_config.json.
_GROUPS = {
    "model": ("model_args", "model_kwargs"),
    "processor": ("tokenizer_args", "processor_kwargs"),
    "config": ("config_args", "config_kwargs"),
}
# A checkpoint may say how it is computed. What it loads, from where and with whose code is the
# caller's decision alone.
_TAKEN: Mapping[str, frozenset[str]] = {
    "model": frozenset({"dtype", "torch_dtype", "attn_implementation"}),
    "processor": frozenset({"model_max_length", "padding_side", "truncation_side", "size"}),
    "config": frozenset({"num_labels", "classifier_dropout", "id2label", "label2id"}),
}
_ATTENTION = ("eager", "sdpa", "flash_attention_2")  # another name may fetch code from the hub


def with_stored_options(options: LoadOptions, facts: CheckpointFacts) -> LoadOptions:
    """The caller's options over those that the checkpoint carries; what is not taken is told."""
    saved = facts.st.transformer
    taken: dict[str, dict[str, Any]] = {}
    left: list[str] = []
    for group, names in _GROUPS.items():
        said = {k: v for name in names for k, v in (saved.get(name) or {}).items()}
        taken[group] = {key: value for key, value in said.items() if _is_taken(group, key, value)}
        left += [key for key in said if key not in taken[group]]
    if saved.get("max_seq_length") is not None:
        taken["processor"].setdefault("model_max_length", int(saved["max_seq_length"]))
    if left:
        logger.warning(
            "%s: its files ask for %s when it is loaded; that is the caller's to say, so it is "
            "left out",
            facts.name,
            ", ".join(shorten(key) for key in sorted(left)),
        )
    return replace(
        options,
        model={**taken["model"], **options.model},
        processor={**taken["processor"], **options.processor},
        config={**taken["config"], **options.config},
    )


def lower_case_as_stored(tokenizer: Any, facts: CheckpointFacts) -> None:
    """Texts in small letters where sentence_bert_config.json says do_lower_case; the peer's way."""
    if not facts.st.transformer.get("do_lower_case"):
        return
    backend = tokenizer.backend_tokenizer
    before = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])


def _is_taken(group: str, key: str, value: Any) -> bool:
    if key == "attn_implementation" and value not in _ATTENTION:
        return False
    return key in _TAKEN[group]
