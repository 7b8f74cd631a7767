"""List-wise losses: value and slopes as in the peer, whatever the lists and the mini-batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sentence_transformers.cross_encoder import losses as theirs
from torch import Tensor, nn

from mmrerank.cross_encoder import losses as ours
from tests.training.losses._batches import (
    LISTS,
    POSITIVES,
    QUERIES,
    assert_same_loss,
    list_labels,
    run,
)
from tests.training.losses.conftest import TwinsOf

MODELS = ["classifier", "language-model"]
LIST_WISE = [
    "ADRMSELoss",
    "LambdaLoss",
    "ListMLELoss",
    "ListNetLoss",
    "PListMLELoss",
    "RankNetLoss",
]
SCHEMES = [
    "NoWeightingScheme",
    "NDCGLoss1Scheme",
    "NDCGLoss2Scheme",
    "LambdaRankScheme",
    "NDCGLoss2PPScheme",
]


@pytest.mark.parametrize("name", LIST_WISE)
@pytest.mark.parametrize(
    ("model", "mini_batch_size"),
    [
        ("classifier", None),
        ("classifier", 1),
        ("classifier", 3),
        ("classifier", -1),
        ("language-model", None),
        ("language-model", 3),
    ],
)
def test_list_wise_loss_is_the_peers(
    name: str, model: str, mini_batch_size: int | None, twins_of: TwinsOf
) -> None:
    mine, peer = twins_of(model)
    assert_same_loss(
        run(getattr(ours, name)(mine, mini_batch_size=mini_batch_size), *_batch()),
        run(getattr(theirs, name)(peer, mini_batch_size=mini_batch_size), *_batch()),
    )


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("k", [None, 2])
def test_weighting_scheme_is_the_peers(
    k: int | None, scheme: str, model: str, twins_of: TwinsOf
) -> None:
    mine, peer = twins_of(model)
    assert_same_loss(
        run(ours.LambdaLoss(mine, getattr(ours, scheme)(), k=k), *_batch()),
        run(theirs.LambdaLoss(peer, getattr(theirs, scheme)(), k=k), *_batch()),
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ADRMSELoss", {"alpha": 3.0}),
        ("ADRMSELoss", {"activation_fn": nn.Sigmoid()}),
        ("LambdaLoss", {"sigma": 0.5, "reduction_log": "natural", "eps": 1e-6}),
        ("LambdaLoss", {"weighting_scheme": None, "activation_fn": None}),
        ("ListNetLoss", {"activation_fn": nn.Tanh()}),
        ("ListMLELoss", {"respect_input_order": False}),
        ("PListMLELoss", {"respect_input_order": False}),
        ("PListMLELoss", {"lambda_weight": None}),
        ("RankNetLoss", {"k": 1, "sigma": 2.0}),
    ],
)
def test_option_means_what_it_means_to_the_peer(
    name: str, options: dict[str, Any], twins_of: TwinsOf
) -> None:
    mine, peer = twins_of("classifier")
    assert_same_loss(
        run(getattr(ours, name)(mine, **options), *_batch()),
        run(getattr(theirs, name)(peer, **options), *_batch()),
    )


def test_mu_weighs_the_scheme_as_in_the_peer(twins_of: TwinsOf) -> None:
    mine, peer = twins_of("classifier")
    assert_same_loss(
        run(ours.LambdaLoss(mine, ours.NDCGLoss2PPScheme(mu=0.5)), *_batch()),
        run(theirs.LambdaLoss(peer, theirs.NDCGLoss2PPScheme(mu=0.5)), *_batch()),
    )


def test_own_discount_of_places_is_used_as_in_the_peer(twins_of: TwinsOf) -> None:
    def discount(mask: Tensor) -> Tensor:
        return (1.0 / torch.log1p(mask.cumsum(dim=1))).masked_fill(~mask, 0.0)

    mine, peer = twins_of("classifier")
    assert_same_loss(
        run(ours.PListMLELoss(mine, ours.PListMLELambdaWeight(discount)), *_batch()),
        run(theirs.PListMLELoss(peer, theirs.PListMLELambdaWeight(discount)), *_batch()),
    )


@pytest.mark.parametrize("num_documents", [1, 5, 127, 128, 300])
def test_weights_of_places_are_the_peers_in_long_lists(num_documents: int) -> None:
    mask = torch.arange(310) < torch.tensor([[num_documents], [3]])
    mine, peer = ours.PListMLELambdaWeight()(mask), theirs.PListMLELambdaWeight()(mask)
    assert torch.isfinite(mine).all()
    torch.testing.assert_close(mine, peer)


@pytest.mark.parametrize("name", LIST_WISE)
@pytest.mark.parametrize(
    ("lists", "labels"),
    [
        ([[text] for text in POSITIVES], [[1.0]] * 4),
        ([POSITIVES] * 4, [[1.0] * 4] * 4),
        ([POSITIVES] * 4, [[0.0] * 4] * 4),
        ([POSITIVES[:2]] * 4, [[-1.0, 0.5]] * 4),
    ],
    ids=["one-document", "all-relevant", "none-relevant", "negative-label"],
)
def test_odd_lists_give_what_they_give_in_the_peer(
    name: str, lists: list[list[str]], labels: list[list[float]], twins_of: TwinsOf
) -> None:
    mine, peer = twins_of("classifier")
    batch = [QUERIES, lists], [torch.tensor(row) for row in labels]
    theirs_found = run(getattr(theirs, name)(peer), *batch)
    is_flat = all(not gradient.any() for gradient in theirs_found[1].values())
    assert_same_loss(run(getattr(ours, name)(mine), *batch), theirs_found, is_flat=is_flat)


def test_some_odd_list_has_a_slope_and_some_has_none(ours_of: Any) -> None:
    """So that the test above compares both kinds."""
    alone = run(ours.LambdaLoss(ours_of("classifier")), [QUERIES[:1], LISTS[1:2]], [torch.ones(1)])
    assert alone[0] == 0.0
    assert not any(gradient.any() for gradient in alone[1].values())
    tied = run(ours.ListNetLoss(ours_of("classifier")), [QUERIES[:1], LISTS[:1]], [torch.ones(4)])
    assert any(gradient.any() for gradient in tied[1].values())


def test_prompt_reaches_the_model_as_in_the_peer(twins_of: TwinsOf) -> None:
    mine, peer = twins_of("language-model")
    prompt = "Find the number of inhabitants."
    found = run(ours.ListNetLoss(mine), *_batch(), prompt=prompt)
    assert found[0] != run(ours.ListNetLoss(mine), *_batch())[0]
    assert_same_loss(found, run(theirs.ListNetLoss(peer), *_batch(), prompt=prompt))


def _batch() -> tuple[list[Any], list[Tensor]]:
    return [QUERIES, LISTS], list_labels()
