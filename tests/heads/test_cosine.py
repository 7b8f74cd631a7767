"""The head of listwise models: cosines within a block, one query vector for several blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mmrerank.errors import CheckpointError, InputError
from mmrerank.heads import CosineHead, make_cosine
from mmrerank.specs import HeadSpec

SPEC = HeadSpec("cosine", weights=("projector.0", "projector.2"))


def _layers(*shapes: tuple[int, int]) -> list[tuple[Tensor, Tensor | None]]:
    chance = torch.Generator().manual_seed(0)
    return [(torch.randn(shape, generator=chance), None) for shape in shapes]


@pytest.fixture
def head() -> CosineHead:
    return make_cosine(SPEC, _layers((4, 6), (3, 4)), "tiny")


def _states(rows: int, seed: int = 1) -> Tensor:
    return torch.randn((rows, 6), generator=torch.Generator().manual_seed(seed))


def test_vectors_are_the_states_through_both_layers(head: CosineHead) -> None:
    (first, _), (second, _) = _layers((4, 6), (3, 4))
    expected = torch.relu(_states(5) @ first.T) @ second.T
    torch.testing.assert_close(head.vectors(_states(5)), expected)


def test_half_precision_states_are_compared_in_float32(head: CosineHead) -> None:
    vectors = head.vectors(_states(5).to(torch.bfloat16))
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, head.vectors(_states(5)), rtol=0.05, atol=0.05)


def test_one_block_gives_plain_cosines(head: CosineHead) -> None:
    block = head.vectors(_states(4))
    vectors = block.detach().numpy()
    lengths = np.linalg.norm(vectors[:-1], axis=1) * np.linalg.norm(vectors[-1])
    np.testing.assert_allclose(
        head.list_logits([block]).detach().numpy()[:, 0],
        vectors[:-1] @ vectors[-1] / lengths,
        atol=1e-6,
    )


def test_several_blocks_share_a_query_weighted_by_their_best_document() -> None:
    head = CosineHead([], [])
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])  # best cosine 1: weight 1
    second = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]])  # best cosine 0: weight 1/2
    second[-1] = torch.tensor([0.0, -1.0])
    second[0] = torch.tensor([1.0, 0.0])
    query = np.array([1.0, 0.0]) + 0.5 * np.array([0.0, -1.0])
    documents = np.array([[1, 0], [0, 1], [1, 0], [-1, 0]])
    expected = documents @ query / np.linalg.norm(query)
    found = head.list_logits([first, second])
    assert found.shape == (4, 1)
    np.testing.assert_allclose(found[:, 0].numpy(), expected, atol=1e-6)


def test_weights_have_the_names_of_the_checkpoints_files(head: CosineHead) -> None:
    assert {name: tuple(w.shape) for name, w in head.named_weights().items()} == {
        "projector.0.weight": (4, 6),
        "projector.2.weight": (3, 4),
    }


def test_layers_that_do_not_fit_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"projector\.0 \(4, 6\), projector\.2 \(3, 5\)"):
        make_cosine(SPEC, _layers((4, 6), (3, 5)), "tiny")


def test_unknown_activation_between_layers_is_refused() -> None:
    spec = HeadSpec("cosine", weights=("a",), between="swish")
    with pytest.raises(CheckpointError, match=r"between='swish': allowed are gelu"):
        make_cosine(spec, _layers((4, 6)), "tiny")


def test_module_form_of_single_pairs_is_refused(head: CosineHead) -> None:
    with pytest.raises(InputError, match=r"use rank\(\) or predict\(\)"):
        head({"token_embeddings": _states(1)})
