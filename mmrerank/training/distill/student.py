"""A student trained on a teacher's logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmrerank.errors import InputError, shorten
from mmrerank.training.data._datasets import dataset_of_columns

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["DISTILL_LOSSES", "train_student"]

DISTILL_LOSSES = ("kl", "margin-mse")


def train_student(
    student: Any,
    scored: Dataset,
    arguments: Mapping[str, Any],
    *,
    trainer_class: Any,
    loss: str = "kl",
    temperature: float = 1.0,
) -> Any:
    """Train on rows (query, documents, labels) of `scored_by_teacher`; returns the trainer.

    arguments: of CrossEncoderTrainingArguments. loss: "kl" compares how both spread their scores
    over a query's documents, "margin-mse" the distance of the best one from each of the others.
    Raises InputError where no query has two documents, or the student has several labels.
    """
    from mmrerank.training.arguments import CrossEncoderTrainingArguments
    from mmrerank.training.losses import DistillKLLoss, MarginMSELoss

    if loss not in DISTILL_LOSSES:
        raise InputError(f"loss={shorten(loss)}: allowed are {', '.join(DISTILL_LOSSES)}")
    if student.num_labels != 1:
        raise InputError(f"a student gives one score a pair; this one has {student.num_labels}")
    is_kl = loss == "kl"
    rows = _with_company(scored) if is_kl else margin_rows(scored)
    trainer = trainer_class(
        model=student,
        args=CrossEncoderTrainingArguments(**arguments),
        train_dataset=rows,
        loss=DistillKLLoss(student, temperature=temperature) if is_kl else MarginMSELoss(student),
    )
    trainer.train()
    return trainer


def margin_rows(scored: Dataset) -> Dataset:
    """(query, positive, negative, label): the teacher's best document beside each other one."""
    columns: dict[str, list[Any]] = {"query": [], "positive": [], "negative": [], "label": []}
    for row in scored:
        logits = row["labels"]
        best = max(range(len(logits)), key=logits.__getitem__)
        for place, logit in enumerate(logits):
            if place != best:
                columns["query"].append(row["query"])
                columns["positive"].append(row["documents"][best])
                columns["negative"].append(row["documents"][place])
                columns["label"].append(logits[best] - logit)
    _refuse_empty(len(columns["query"]))
    return dataset_of_columns(columns)


def _with_company(scored: Dataset) -> Dataset:
    """Rows of two documents or more: a distribution over one says nothing."""
    rows = scored.select([at for at, row in enumerate(scored) if len(row["documents"]) > 1])
    _refuse_empty(len(rows))
    return rows


def _refuse_empty(num_rows: int) -> None:
    if not num_rows:
        raise InputError(
            "no query of the data has two documents, and a student learns from how the teacher "
            "tells them apart. Mine some: mmrerank.util.mine_hard_negatives(...)"
        )
