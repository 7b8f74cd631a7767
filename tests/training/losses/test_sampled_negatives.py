"""MultipleNegativesRankingLoss: which documents a query meets, and the cached form's second run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mmrerank import CrossEncoder
from mmrerank.training.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from tests import checkpoints
from tests.training.losses._batches import (
    NEGATIVES,
    POSITIVES,
    QUERIES,
    assert_same_loss,
    run,
)
from tests.training.losses.conftest import ModelOf

TRIPLES = [QUERIES, POSITIVES, NEGATIVES]


@pytest.fixture
def dropping(tmp_path: Path) -> CrossEncoder:
    """A model in training mode, with dropout."""
    model = CrossEncoder(str(checkpoints.build_bert(tmp_path / "m")), device="cpu")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.3
    return model.train()


@pytest.mark.parametrize("num_negatives", [0, 1, 3, 5, 6, None])
def test_query_never_meets_a_document_of_its_own_row_twice(
    num_negatives: int | None, ours_of: ModelOf
) -> None:
    loss = MultipleNegativesRankingLoss(ours_of("classifier"), num_negatives)
    pairs = loss.candidate_pairs(TRIPLES)
    num_sampled = 6 if num_negatives is None else num_negatives
    assert len(pairs) == 4 * (2 + num_sampled)
    for row, query in enumerate(QUERIES):
        documents = [document for asked, document in pairs if asked == query]
        assert documents[0] == POSITIVES[row]
        assert documents[-1] == NEGATIVES[row]
        assert len(set(documents)) == 2 + num_sampled


def test_last_batch_of_one_row_without_negatives_gives_zero_and_no_error(ours_of: ModelOf) -> None:
    """The peer raises there, so that an epoch may end in an error."""
    for cls in (MultipleNegativesRankingLoss, CachedMultipleNegativesRankingLoss):
        value, gradients = run(cls(ours_of("classifier")), [QUERIES[:1], POSITIVES[:1]], None)
        assert value == 0.0
        assert not any(gradient.any() for gradient in gradients.values())


def test_cached_form_meets_the_same_dropout_in_its_second_run(dropping: CrossEncoder) -> None:
    plain = MultipleNegativesRankingLoss(dropping, 2)
    cached = CachedMultipleNegativesRankingLoss(dropping, 2, mini_batch_size=100)
    first, second = (_train(loss, seed=5) for loss in (plain, cached))
    assert_same_loss(second, first)
    other = _train(plain, seed=6)
    assert abs(other[0] - first[0]) > 1e-4


def test_cached_form_leaves_random_numbers_where_its_first_run_left_them(
    dropping: CrossEncoder,
) -> None:
    loss = CachedMultipleNegativesRankingLoss(dropping, 2, mini_batch_size=3)
    value = loss(TRIPLES)
    before = torch.get_rng_state()
    value.backward()
    assert torch.equal(torch.get_rng_state(), before)


def test_cached_form_scales_with_the_gradient_that_arrives(ours_of: ModelOf) -> None:
    loss = CachedMultipleNegativesRankingLoss(ours_of("classifier"), mini_batch_size=3)
    whole = run(loss, TRIPLES)
    half = run(_Halved(loss), TRIPLES)
    doubled = (half[0] * 2, {name: gradient * 2 for name, gradient in half[1].items()})
    assert_same_loss(doubled, whole)


def test_cached_form_gives_its_value_where_no_gradient_is_asked_for(ours_of: ModelOf) -> None:
    loss = CachedMultipleNegativesRankingLoss(ours_of("classifier"), mini_batch_size=3)
    with_gradient = run(loss, TRIPLES, seed=2)[0]
    torch.manual_seed(2)
    with torch.no_grad():
        value = loss(TRIPLES)
    assert not value.requires_grad
    assert value.item() == pytest.approx(with_gradient, abs=1e-6)


def test_cached_form_does_nothing_to_frozen_weights(dropping: CrossEncoder) -> None:
    dropping.requires_grad_(False)
    CachedMultipleNegativesRankingLoss(dropping, mini_batch_size=3)(TRIPLES).backward()
    assert all(weight.grad is None for weight in dropping.parameters())


class _Halved(nn.Module):
    """Half of a loss, as in two steps of gradient accumulation."""

    def __init__(self, loss: CachedMultipleNegativesRankingLoss) -> None:
        super().__init__()
        self.loss, self.model = loss, loss.model

    def forward(self, *args: object) -> torch.Tensor:
        return self.loss(*args) / 2


def _train(
    loss: MultipleNegativesRankingLoss, *, seed: int
) -> tuple[float, dict[str, torch.Tensor]]:
    """As `run`, in training mode."""
    loss.model.zero_grad(set_to_none=True)
    torch.manual_seed(seed)
    value = loss(TRIPLES)
    value.backward()
    weights = loss.model.transformers_model.named_parameters()
    return value.item(), {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in weights
    }
