"""What every loss checks, in words that say what to do: the model, the columns, the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmrerank.errors import InputError, WrongArgument
from mmrerank.training.labels import LabelRule

__all__ = ["IDENTITY", "SIGMOID", "check_columns", "checked_model", "class_path", "labels_of_rows"]

# Defaults of constructors; neither holds a state, so losses may share them.
IDENTITY = nn.Identity()
SIGMOID = nn.Sigmoid()


def checked_model(loss: nn.Module, model: Any, *, num_labels: int | None = 1) -> Any:
    """The model. num_labels: scores a pair must get; None takes any number.

    Raises WrongArgument for what is no reranker, InputError for another number of scores.
    """
    name = type(loss).__name__
    try:
        found, _ = model.num_labels, model.preprocess
    except AttributeError as error:
        raise WrongArgument(
            f"{name} expects a model of type CrossEncoder, but got a model of type {type(model)}: "
            f"{error}. Load it with mmrerank.CrossEncoder(...)."
        ) from error
    if num_labels is not None and found != num_labels:
        raise InputError(
            f"{name} expects a model with {num_labels} output label, but got a model with {found} "
            f"output labels. Load it with num_labels={num_labels}, or train it with "
            "CrossEntropyLoss."
        )
    return model


def check_columns(name: str, rule: LabelRule, inputs: Sequence[Sequence[Any]]) -> None:
    """Raises InputError unless a batch has as many columns as the rule says, of one length."""
    rule.check_num_columns(name, len(inputs))
    lengths = [len(column) for column in inputs]
    if len(set(lengths)) != 1:
        raise InputError(f"{name}: the columns of a batch hold {lengths} rows; need equal numbers.")


def labels_of_rows(name: str, labels: Tensor | Sequence[Tensor] | None, num_rows: int) -> Tensor:
    """One label a row, float32 (num_rows,); shapes such as (num_rows, 1) are flattened.

    Raises InputError when there are more or fewer.
    """
    if labels is None:
        raise InputError(f"{name} needs labels: give the data a column 'label'.")
    if not isinstance(labels, Tensor):
        labels = torch.stack([torch.as_tensor(label) for label in labels])
    if labels.numel() != num_rows:
        raise InputError(
            f"{name} expects {num_rows} labels (one per example), but got {labels.numel()} labels "
            f"with shape {tuple(labels.shape)}."
        )
    return labels.reshape(-1).detach().float()


def class_path(value: object) -> str:
    """The dotted path of an object's class, as configurations in model cards show it."""
    return f"{type(value).__module__}.{type(value).__qualname__}"
