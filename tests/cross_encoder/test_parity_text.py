"""Scores of text pairs equal those of sentence-transformers on the same folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from tests.cross_encoder._chain import build_chain
from tests.cross_encoder._samples import DOCUMENTS, PAIRS, QUERY, assert_same_scores
from tests.cross_encoder.conftest import FolderOf, ModelOf

ENCODERS = [
    "bert",
    "bert-legacy",
    "bert-no-activation",
    "bert-st",
    "bert-nli",
    "electra",
    "roberta",
    "xlm-roberta",
    "modernbert-mean",
    "modernbert-cls",
    "deberta-v2",
    "deberta-v2-nli",
    "chain",
]
LANGUAGE_MODELS = ["qwen3", "qwen3-plain", "qwen3-seq-cls", "llama", "qwen2-chatml"]
LONG = [
    (QUERY, "The train to the mountains stops at every village. " * 12),
    (QUERY * 3, "Rain fell on the garden all night. " * 12),
    ("Which planet?", "Dust and iron make the surface of the planet look red. " * 2),
]


@pytest.mark.parametrize("name", [*ENCODERS, *LANGUAGE_MODELS])
def test_predict_gives_the_peers_scores(name: str, ours_of: ModelOf, peer_of: ModelOf) -> None:
    scores = ours_of(name).predict(PAIRS)
    assert scores.dtype == np.float32
    assert_same_scores(scores, peer_of(name).predict(PAIRS))


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-seq-cls", "chain"])
def test_rank_gives_the_peers_ranking(name: str, ours_of: ModelOf, peer_of: ModelOf) -> None:
    ours, theirs = (model.rank(QUERY, DOCUMENTS) for model in (ours_of(name), peer_of(name)))
    assert [entry["corpus_id"] for entry in ours] == [entry["corpus_id"] for entry in theirs]
    assert_same_scores([entry["score"] for entry in ours], [entry["score"] for entry in theirs])


@pytest.mark.parametrize("name", ["bert-nli", "deberta-v2-nli"])
def test_predict_with_softmax_of_three_labels_gives_the_peers_scores(
    name: str, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    ours = ours_of(name).predict(PAIRS, apply_softmax=True)
    assert ours.sum(axis=1) == pytest.approx(np.ones(len(PAIRS)), abs=1e-6)
    assert_same_scores(ours, peer_of(name).predict(PAIRS, apply_softmax=True))


@pytest.mark.parametrize("name", ["bert", "qwen3", "qwen3-plain", "llama", "modernbert-mean"])
def test_prompt_goes_where_the_peer_puts_it(name: str, ours_of: ModelOf, peer_of: ModelOf) -> None:
    ours = ours_of(name).predict(PAIRS, prompt="Find the number of inhabitants. ")
    without = ours_of(name).predict(PAIRS)
    assert np.abs(ours - without).max() > 1e-3
    assert_same_scores(
        ours, peer_of(name).predict(PAIRS, prompt="Find the number of inhabitants. ")
    )


@pytest.mark.parametrize("name", ["bert", "qwen3"])
def test_empty_prompt_is_what_the_peer_makes_of_it(
    name: str, ours_of: ModelOf, peer_of: ModelOf
) -> None:
    assert_same_scores(
        ours_of(name).predict(PAIRS, prompt=""), peer_of(name).predict(PAIRS, prompt="")
    )


@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "deberta-v2", "chain"])
def test_long_pairs_of_an_encoder_are_cut_as_in_the_peer(name: str, folder_of: FolderOf) -> None:
    ours, theirs = (
        library(str(folder_of(name)), device="cpu", max_length=40).predict(LONG)
        for library in (CrossEncoder, Peer)
    )
    assert_same_scores(ours, theirs)


@pytest.mark.parametrize("name", ["qwen3", "qwen3-plain"])
def test_long_documents_of_a_language_model_are_cut_as_in_the_peer(
    name: str, folder_of: FolderOf
) -> None:
    pairs = [(QUERY, "The train to the mountains stops at every village. " * 20), PAIRS[0]]
    full = CrossEncoder(str(folder_of(name)), device="cpu").predict(pairs)
    ours, theirs = (
        library(str(folder_of(name)), device="cpu", max_length=180).predict(pairs)
        for library in (CrossEncoder, Peer)
    )
    assert abs(ours[0] - full[0]) > 1e-3
    assert_same_scores(ours, theirs)


@pytest.mark.parametrize("pooling_mode", ["mean", "max", "lasttoken", "weightedmean"])
def test_chain_with_another_pooling_gives_the_peers_scores(
    pooling_mode: str, tmp_path: Path
) -> None:
    folder = str(build_chain(tmp_path / "chain", seed=1, pooling_mode=pooling_mode))
    ours, theirs = (
        library(folder, device="cpu").predict(PAIRS) for library in (CrossEncoder, Peer)
    )
    assert_same_scores(ours, theirs)


def test_half_precision_scores_stay_near_the_peers_in_full_precision(folder_of: FolderOf) -> None:
    """bf16 weights; the head works in float32, so scores do not move in steps of 1/16."""
    folder = str(folder_of("qwen3"))
    ours = CrossEncoder(folder, device="cpu", model_kwargs={"dtype": torch.bfloat16})
    scores = ours.predict(PAIRS)
    assert np.isfinite(scores).all()
    assert np.unique(scores).size == len(PAIRS)
    assert any(float(torch.tensor(s).bfloat16()) != float(s) for s in scores)
