"""Encoders with a classifier: scores of transformers and the peer, labels, vendors' code."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError, InputError
from tests import checkpoints
from tests.checkpoints import vendors_code
from tests.cross_encoder._chain import build_chain
from tests.cross_encoder._samples import PAIRS, assert_same_scores
from tests.recipes import encoders as recipe

# Folder names as of the published repositories: the processor folders know them.
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "ms-marco-MiniLM-L6-v2": checkpoints.build_bert,
    "ms-marco-TinyBERT-L2": partial(checkpoints.build_bert, stored_activation="none", seed=1),
    "ms-marco-electra-base": checkpoints.build_electra,
    "stsb-distilroberta-base": checkpoints.build_roberta,
    "quora-roberta-base": partial(checkpoints.build_roberta, seed=1),
    "bge-reranker-base": checkpoints.build_xlm_roberta,
    "bce-reranker-base_v1": partial(checkpoints.build_xlm_roberta, seed=1),
    "mxbai-rerank-base-v1": checkpoints.build_deberta_v2,
    "gte-reranker-modernbert-base": checkpoints.build_modernbert,
    "granite-embedding-reranker-english-r2": partial(
        checkpoints.build_modernbert, classifier_pooling="cls"
    ),
    "nli-deberta-v3-base": checkpoints.build_deberta_v2_nli,
    "nli-MiniLM2-L6-H768": checkpoints.build_bert_nli,
}
FAMILY = {
    "ms-marco-MiniLM-L6-v2": "ms-marco",
    "ms-marco-TinyBERT-L2": "ms-marco",
    "ms-marco-electra-base": "ms-marco",
    "stsb-distilroberta-base": "stsb",
    "quora-roberta-base": "stsb",
    "bge-reranker-base": "bge-reranker",
    "bce-reranker-base_v1": "bce-reranker",
    "mxbai-rerank-base-v1": "mxbai-rerank-v1",
    "gte-reranker-modernbert-base": "gte-reranker-modernbert",
    "granite-embedding-reranker-english-r2": "granite-reranker",
    "nli-deberta-v3-base": "nli",
}
WITH_CODE = {
    "jina-reranker-v1-tiny-en": vendors_code.build_own_bert,
    "jina-reranker-v2-base-multilingual": vendors_code.build_own_xlm_roberta,
    "gte-multilingual-reranker-base": vendors_code.build_own_new,
}
FolderOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    root = tmp_path_factory.mktemp("encoders")
    return cache(lambda name: ({**BUILDERS, **WITH_CODE}[name])(root / name))


@pytest.fixture(scope="module")
def ours_of(folder_of: FolderOf) -> Callable[[str], CrossEncoder]:
    return cache(lambda name: CrossEncoder(str(folder_of(name)), device="cpu"))


@pytest.mark.parametrize("name", BUILDERS)
def test_logits_are_those_of_transformers(name: str, folder_of: FolderOf, ours_of: Any) -> None:
    expected = torch.stack([recipe.logits(folder_of(name), *pair) for pair in PAIRS]).squeeze(-1)
    ours = ours_of(name).predict(PAIRS, activation_fn=torch.nn.Identity())
    assert np.ptp(expected.numpy()) > 0.1
    assert_same_scores(ours, expected)


@pytest.mark.parametrize("name", BUILDERS)
def test_scores_are_the_peers(name: str, folder_of: FolderOf, ours_of: Any) -> None:
    peer = Peer(str(folder_of(name)), device="cpu")
    assert_same_scores(ours_of(name).predict(PAIRS), peer.predict(PAIRS))


@pytest.mark.parametrize(("name", "family"), FAMILY.items())
def test_published_names_are_recognised(name: str, family: str, ours_of: Any) -> None:
    assert ours_of(name).describe()["family"] == family


def test_stored_activation_decides_between_logits_and_probabilities(ours_of: Any) -> None:
    stored, default = (
        ours_of(name).predict(PAIRS) for name in ("ms-marco-MiniLM-L6-v2", "ms-marco-TinyBERT-L2")
    )
    assert np.abs(stored).max() > 1
    assert ((default > 0) & (default < 1)).all()


@pytest.mark.parametrize("name", ["bge-reranker-base", "ms-marco-MiniLM-L6-v2"])
def test_each_scale_can_be_asked_for(name: str, folder_of: FolderOf) -> None:
    of_scale: Any = {
        scale: CrossEncoder(str(folder_of(name)), device="cpu", scale=scale).predict(PAIRS)
        for scale in ("logit", "probability")
    }
    assert_same_scores(1 / (1 + np.exp(-of_scale["logit"])), of_scale["probability"])


# ---------------------------------------------------------------- labels


def test_nli_labels_are_in_the_checkpoints_order(ours_of: Any, folder_of: FolderOf) -> None:
    model = ours_of("nli-deberta-v3-base")
    scores = model.predict(PAIRS)
    expected = [recipe.logits(folder_of("nli-deberta-v3-base"), *pair).argmax() for pair in PAIRS]
    assert scores.shape == (len(PAIRS), 3)
    assert scores.argmax(axis=1).tolist() == [int(label) for label in expected]
    assert model.config.id2label == {0: "contradiction", 1: "entailment", 2: "neutral"}


def test_softmax_of_nli_labels_sums_to_one(ours_of: Any) -> None:
    model = ours_of("nli-deberta-v3-base")
    shares = model.predict(PAIRS, apply_softmax=True)
    logits = model.predict(PAIRS)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_same_scores(shares, expected)


def test_rank_refuses_a_model_of_three_labels(ours_of: Any) -> None:
    with pytest.raises(InputError, match=r"rank\(\) only works for models with num_labels=1"):
        ours_of("nli-deberta-v3-base").rank("a query", ["a document"])


def test_probability_of_nli_labels_is_refused_with_what_there_is(folder_of: FolderOf) -> None:
    with pytest.raises(InputError, match=r"defined as logit only"):
        CrossEncoder(str(folder_of("nli-deberta-v3-base")), device="cpu", scale="probability")


# ---------------------------------------------------------------- long texts, chains


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("river city " * 40, "people live here " * 60),
        ("river city " * 40, "bread"),
        ("river", "people live here " * 60),
    ],
)
def test_long_pairs_of_bge_are_cut_as_flag_embedding_does(
    query: str, document: str, folder_of: FolderOf
) -> None:
    folder = folder_of("bge-reranker-base")
    model = CrossEncoder(str(folder), device="cpu", max_length=64, scale="logit")
    expected = recipe.bge_logits(folder, query, document, max_length=64)
    assert_same_scores(model.predict([(query, document)]), expected)


def test_chain_of_modules_scores_as_computed_by_hand(tmp_path: Path) -> None:
    folder = build_chain(tmp_path / "ettin-reranker-17m-v1")
    model = CrossEncoder(str(folder), device="cpu")
    expected = torch.cat([recipe.chain_logits(folder, *pair) for pair in PAIRS])
    assert model.describe()["family"] == "ettin-reranker"
    assert_same_scores(model.predict(PAIRS), expected)


def test_chain_without_its_modules_file_is_an_error(tmp_path: Path) -> None:
    folder = build_chain(tmp_path / "ettin-reranker-17m-v1")
    (folder / "modules.json").unlink()
    with pytest.raises(CheckpointError, match="Pooling, then Dense and LayerNorm"):
        CrossEncoder(str(folder), device="cpu")


# ---------------------------------------------------------------- architectures in Python files


@pytest.mark.parametrize("name", WITH_CODE)
def test_vendors_code_is_not_run_unless_it_is_trusted(name: str, folder_of: FolderOf) -> None:
    with pytest.raises(CheckpointError, match="trust_remote_code=True"):
        CrossEncoder(str(folder_of(name)), device="cpu")


@pytest.mark.parametrize("name", WITH_CODE)
def test_trusted_code_scores_as_in_transformers_and_the_peer(
    name: str, folder_of: FolderOf
) -> None:
    folder = folder_of(name)
    ours, peer = (
        library(str(folder), device="cpu", trust_remote_code=True)
        for library in (CrossEncoder, Peer)
    )
    logits = [recipe.logits(folder, *pair, trust_remote_code=True) for pair in PAIRS]
    assert_same_scores(ours.predict(PAIRS), torch.cat(logits).sigmoid())
    assert_same_scores(ours.predict(PAIRS), peer.predict(PAIRS))


@pytest.mark.parametrize("name", WITH_CODE)
def test_code_of_a_model_under_another_name_is_named_in_the_error(
    name: str, tmp_path: Path
) -> None:
    folder = WITH_CODE[name](tmp_path / "my-tuned-model")
    with pytest.raises(CheckpointError, match="trust_remote_code=True"):
        CrossEncoder(str(folder), device="cpu")


def test_plain_bert_weights_are_not_made_up_for_a_vendors_bert(tmp_path: Path) -> None:
    folder = vendors_code.build_own_bert(tmp_path / "my-tuned-model")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["BertForSequenceClassification"]
    config.update(num_attention_heads=4, num_hidden_layers=1, intermediate_size=32)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"lacks \d+ weights"):
        CrossEncoder(str(folder), device="cpu")
