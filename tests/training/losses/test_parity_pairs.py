"""Losses of single pairs and of rows with negatives: value and slopes as in the peer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sentence_transformers.cross_encoder import losses as theirs
from torch import nn

from mmrerank.cross_encoder import losses as ours
from tests.training.losses._batches import (
    FAR_NEGATIVES,
    NEGATIVES,
    NUMBERS,
    POSITIVES,
    QUERIES,
    assert_same_loss,
    run,
)
from tests.training.losses.conftest import TwinsOf

MODELS = ["classifier", "language-model"]
PAIRS = [QUERIES, POSITIVES]
TRIPLES = [QUERIES, POSITIVES, NEGATIVES]
QUADRUPLES = [*TRIPLES, FAR_NEGATIVES]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("BinaryCrossEntropyLoss", {}),
        ("BinaryCrossEntropyLoss", {"pos_weight": torch.tensor(4.0)}),
        ("BinaryCrossEntropyLoss", {"activation_fn": nn.Tanh(), "reduction": "sum"}),
        ("MSELoss", {}),
        ("MSELoss", {"activation_fn": nn.Sigmoid()}),
    ],
)
def test_loss_of_pairs_is_the_peers(
    name: str, options: dict[str, Any], model: str, twins_of: TwinsOf
) -> None:
    mine, peer = twins_of(model)
    assert_same_loss(
        run(getattr(ours, name)(mine, **options), PAIRS, NUMBERS),
        run(getattr(theirs, name)(peer, **options), PAIRS, NUMBERS),
    )


@pytest.mark.parametrize("shape", [(4, 1), (4,)])
def test_binary_labels_may_be_integers_of_either_shape(
    shape: tuple[int, ...], twins_of: TwinsOf
) -> None:
    mine, peer = twins_of("classifier")
    labels = torch.tensor([1, 0, 0, 1]).view(shape)
    assert_same_loss(
        run(ours.BinaryCrossEntropyLoss(mine), PAIRS, labels),
        run(theirs.BinaryCrossEntropyLoss(peer), PAIRS, labels),
    )


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([0, 2, 1, 1]),
        torch.tensor([[0], [2], [1], [1]]),
        torch.tensor([0, -100, 1, 1]),
        torch.tensor([[0.2, 0.3, 0.5]] * 4),
    ],
    ids=["classes", "column", "ignored", "probabilities"],
)
def test_cross_entropy_is_the_peers(labels: torch.Tensor, twins_of: TwinsOf) -> None:
    mine, peer = twins_of("classes")
    assert_same_loss(
        run(ours.CrossEntropyLoss(mine, label_smoothing=0.1), PAIRS, labels),
        run(theirs.CrossEntropyLoss(peer, label_smoothing=0.1), PAIRS, labels),
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        (TRIPLES, torch.tensor([0.5, 2.0, -1.0, 3.0])),
        (TRIPLES, [torch.tensor([5.0, 3.0])] * 4),
        (QUADRUPLES, [torch.tensor([1.0, 2.5])] * 4),
        (QUADRUPLES, torch.arange(12.0).view(4, 3)),
    ],
    ids=["one-margin", "two-scores", "two-margins", "three-scores"],
)
def test_margin_mse_is_the_peers(
    columns: list[list[str]], labels: Any, model: str, twins_of: TwinsOf
) -> None:
    mine, peer = twins_of(model)
    assert_same_loss(
        run(ours.MarginMSELoss(mine), columns, labels),
        run(theirs.MarginMSELoss(peer), columns, labels),
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("columns", [PAIRS, TRIPLES, QUADRUPLES], ids=["2", "3", "4"])
@pytest.mark.parametrize("num_negatives", [1, 2, 4, None])
def test_multiple_negatives_ranking_samples_and_scores_as_the_peer(
    num_negatives: int | None, columns: list[list[str]], model: str, twins_of: TwinsOf
) -> None:
    mine, peer = twins_of(model)
    assert_same_loss(
        run(ours.MultipleNegativesRankingLoss(mine, num_negatives), columns, None, seed=7),
        run(theirs.MultipleNegativesRankingLoss(peer, num_negatives), columns, None, seed=7),
    )


@pytest.mark.parametrize("options", [{"activation_fn": None, "scale": 1.0}, {"scale": 20.0}])
def test_multiple_negatives_ranking_scales_as_the_peer(
    options: dict[str, Any], twins_of: TwinsOf
) -> None:
    mine, peer = twins_of("classifier")
    assert_same_loss(
        run(ours.MultipleNegativesRankingLoss(mine, **options), TRIPLES, None),
        run(theirs.MultipleNegativesRankingLoss(peer, **options), TRIPLES, None),
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("mini_batch_size", [1, 3, 64])
def test_cached_multiple_negatives_ranking_is_the_peers(
    mini_batch_size: int, model: str, twins_of: TwinsOf
) -> None:
    mine, peer = twins_of(model)
    options: dict[str, Any] = {"num_negatives": 2, "mini_batch_size": mini_batch_size}
    assert_same_loss(
        run(ours.CachedMultipleNegativesRankingLoss(mine, **options), TRIPLES, None, seed=3),
        run(theirs.CachedMultipleNegativesRankingLoss(peer, **options), TRIPLES, None, seed=3),
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["BinaryCrossEntropyLoss", "MultipleNegativesRankingLoss"])
def test_prompt_reaches_the_model_as_in_the_peer(name: str, model: str, twins_of: TwinsOf) -> None:
    mine, peer = twins_of(model)
    prompt = "Find the number of inhabitants. "
    found = run(getattr(ours, name)(mine), PAIRS, NUMBERS, prompt=prompt, task=None)
    assert found[0] != run(getattr(ours, name)(mine), PAIRS, NUMBERS)[0]
    assert_same_loss(found, run(getattr(theirs, name)(peer), PAIRS, NUMBERS, prompt=prompt))
