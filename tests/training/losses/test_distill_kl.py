"""DistillKLLoss, which the peer does not have for rerankers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mmrerank.training.losses import DistillKLLoss
from tests.training.losses._batches import (
    LISTS,
    NEGATIVES,
    POSITIVES,
    QUERIES,
    assert_same_loss,
    list_labels,
    run,
)
from tests.training.losses.conftest import ModelOf


def scores_of(model: Any) -> list[Tensor]:
    return [
        torch.tensor(
            model.predict([(query, document) for document in documents], activation_fn=_same)
        )
        for query, documents in zip(QUERIES, LISTS, strict=True)
    ]


def _same(logits: Tensor) -> Tensor:
    return logits


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_value_is_that_of_the_formula(temperature: float, ours_of: ModelOf) -> None:
    model = ours_of("classifier")
    wanted = []
    for student, teacher in zip(scores_of(model), list_labels(), strict=True):
        p, q = (torch.softmax(scores.double() / temperature, 0) for scores in (teacher, student))
        wanted.append(temperature**2 * (p * (p / q).log()).sum())
    value, _ = run(DistillKLLoss(model, temperature), [QUERIES, LISTS], list_labels())
    assert value == pytest.approx(torch.stack(wanted).mean().item(), abs=1e-5)


def test_student_that_scores_as_its_teacher_has_nothing_to_learn(ours_of: ModelOf) -> None:
    model = ours_of("classifier")
    # A distribution does not know of what is added to all scores.
    teacher = [scores + 3.0 for scores in scores_of(model)]
    value, gradients = run(DistillKLLoss(model), [QUERIES, LISTS], teacher)
    assert value == pytest.approx(0.0, abs=1e-6)
    assert max(gradient.abs().max().item() for gradient in gradients.values()) < 1e-4


def test_columns_of_documents_are_a_list_of_them(ours_of: ModelOf) -> None:
    loss = DistillKLLoss(ours_of("classifier"))
    scores = torch.tensor([[2.0, 0.0], [1.0, -1.0], [0.0, 3.0], [1.0, 1.0]])
    lists = [list(row) for row in zip(POSITIVES, NEGATIVES, strict=True)]
    as_lists = run(loss, [QUERIES, lists], list(scores))
    assert_same_loss(run(loss, [QUERIES, POSITIVES, NEGATIVES], scores), as_lists)
    assert_same_loss(run(loss, [QUERIES, POSITIVES, NEGATIVES], list(scores)), as_lists)


@pytest.mark.parametrize("mini_batch_size", [1, 4, 0])
def test_mini_batches_change_nothing(mini_batch_size: int, ours_of: ModelOf) -> None:
    model = ours_of("language-model")
    assert_same_loss(
        run(DistillKLLoss(model, mini_batch_size=mini_batch_size), [QUERIES, LISTS], list_labels()),
        run(DistillKLLoss(model), [QUERIES, LISTS], list_labels()),
    )
