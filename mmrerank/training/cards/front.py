"""The YAML block that the hub reads at the top of a card."""

from __future__ import annotations

from typing import Any

from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined]

from mmrerank.training.cards.data import CrossEncoderModelCardData
from mmrerank.training.cards.metrics import metric_names, model_index

__all__ = ["front_matter"]


def front_matter(data: CrossEncoderModelCardData, name: str) -> str:
    """YAML without the lines of dashes around it; what is not known is left out."""
    values: dict[str, Any] = {
        "library_name": "sentence-transformers",
        "pipeline_tag": data.pipeline_tag,
        "language": data.language,
        "license": data.license,
        "tags": list(dict.fromkeys([*data.tags, "mmrerank"])),
        "base_model": data.base_model,
        "datasets": data.dataset_ids,
        "metrics": metric_names(data.evaluations),
        "model-index": model_index(data.evaluations, data.model_name or name),
    }
    kept = {key: value for key, value in values.items() if value not in (None, [], "")}
    text: str = yaml_dump(kept, sort_keys=False)
    return text.strip()
