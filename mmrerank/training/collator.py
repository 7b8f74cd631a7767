"""Rows of a dataset to a batch: labels as tensors, all else as it is."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import torch

from mmrerank.errors import InputError, shorten

__all__ = ["LABEL_COLUMNS", "CrossEncoderDataCollator"]

LABEL_COLUMNS: tuple[str, ...] = ("label", "labels", "score", "scores")


@dataclass
class CrossEncoderDataCollator:
    """Called with rows, gives {"label": …, "prompt": …, "task": …, column: list of values}.

    Columns keep the dataset's order, which tells losses what each is; their values (texts, images,
    decoders, dicts, paths) are handed on untouched. The first column of `valid_label_columns` that
    there is becomes "label": a tensor, or a list of tensors where rows hold lists.
    prompts, router_mapping: one text for all datasets, or {dataset name: text}. preprocess_fn,
    max_length: taken and not used, as in the peer.
    Raises InputError where prompts or routes are given by column: columns become pairs.
    """

    preprocess_fn: Callable[..., Any]
    valid_label_columns: list[str] = field(default_factory=lambda: list(LABEL_COLUMNS))
    router_mapping: Any = field(default_factory=dict, repr=False)
    prompts: Any = field(default_factory=dict, repr=False)
    max_length: int | dict[str, int] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("prompts", self.prompts), ("router_mapping", self.router_mapping)):
            if isinstance(value, dict) and any(isinstance(v, dict) for v in value.values()):
                raise InputError(
                    f"{name}={shorten(value)}: a CrossEncoder reads columns together, as pairs, so "
                    f"{name} cannot be per-column. Give one text, or one a dataset: "
                    f"{name}={{'first_dataset': '…', 'second_dataset': '…'}}."
                )

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """features: rows with the same columns."""
        names = list(features[0])
        batch: dict[str, Any] = {}
        if "dataset_name" in names:
            names.remove("dataset_name")
            batch["dataset_name"] = features[0]["dataset_name"]
        label = next((name for name in self.valid_label_columns if name in names), None)
        if label is not None:
            names.remove(label)
            batch["label"] = _as_labels([row[label] for row in features])
        for name, mapping in (("prompt", self.prompts), ("task", self.router_mapping)):
            if text := _text_for(mapping, batch.get("dataset_name")):
                batch[name] = text
        return {**batch, **{name: [row[name] for row in features] for name in names}}


def _as_labels(values: list[Any]) -> torch.Tensor | list[torch.Tensor]:
    if isinstance(values[0], torch.Tensor):  # datasets.with_format("torch")
        return torch.stack(values) if values[0].dim() == 0 else values
    if isinstance(values[0], Collection):
        return [torch.tensor(value) for value in values]
    return torch.tensor(values)


def _text_for(mapping: Any, dataset_name: str | None) -> str | None:
    if isinstance(mapping, dict):
        text: str | None = mapping.get(dataset_name)
        return text
    return mapping or None
