"""Hard negatives: the peer's rows and scores for the same encoder, then media and hostile input."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from sentence_transformers.util import mine_hard_negatives as peers

from mmrerank import CrossEncoder
from mmrerank.errors import InputError, MissingExtra
from mmrerank.util import mine_hard_negatives
from tests.checkpoints import build_bert

WORDS = ["tea", "cup", "car", "road", "rain", "city", "rose", "bread", "ferry", "river"]
QUIET: dict[str, Any] = {"verbose": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_bert(tmp_path_factory.mktemp("negatives") / "bert")


@pytest.fixture(scope="module")
def encoder(folder) -> SentenceTransformer:
    transformer = Transformer(str(folder))
    return SentenceTransformer(modules=[transformer, Pooling(48)], device="cpu")


@pytest.fixture(scope="module")
def reranker(folder) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu")


def text(seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=5))


@pytest.fixture(scope="module")
def pairs() -> Dataset:
    """24 queries, the first with three positives and a row that stands there twice."""
    queries = [f"{text(i)} ?" for i in range(24)]
    positives = [text(100 + i) for i in range(24)]
    return Dataset.from_dict(
        {
            "query": [*queries, queries[0], queries[0], queries[1]],
            "answer": [*positives, text(200), text(201), positives[1]],
        }
    )


CORPUS = [text(300 + i) for i in range(40)]
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "ranks": {"range_min": 2, "range_max": 9, "num_negatives": 4},
    "margins": {"absolute_margin": 0.001, "max_score": 0.995},
    "relative": {"relative_margin": 0.002, "min_score": 0.2},
    "corpus": {"corpus": CORPUS, "num_negatives": 5},
    "random": {"sampling_strategy": "random", "range_max": 12},
    "too-few": {"max_score": 0.97, "num_negatives": 6},
    "beyond-corpus": {"range_max": 60, "num_negatives": 30},
    "prompts": {"query_prompt": "query: ", "corpus_prompt": "passage: "},
}


def both(dataset: Dataset, model: Any, **options: Any) -> tuple[Dataset, Dataset]:
    random.seed(7)
    mine = mine_hard_negatives(dataset, model, **options, **QUIET)
    random.seed(7)
    return mine, peers(dataset, model, **options, **QUIET)


def assert_equal(mine: Dataset, other: Dataset) -> None:
    assert mine.column_names == other.column_names
    for name in mine.column_names:
        if name.startswith("score"):
            ours, theirs = list(mine[name]), list(other[name])
            assert len(ours) == len(theirs)
            for one, two in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, two, atol=1e-5)
        else:
            assert list(mine[name]) == list(other[name])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("output_format", ["triplet", "n-tuple", "labeled-pair", "labeled-list"])
def test_rows_are_those_of_the_peer(pairs, encoder, case, output_format):
    mine, other = both(pairs, encoder, output_format=output_format, **CASES[case])
    assert len(other) > 0 or case in ("too-few", "beyond-corpus")
    assert_equal(mine, other)


@pytest.mark.parametrize("output_format", ["triplet", "n-tuple", "labeled-pair", "labeled-list"])
def test_scores_are_those_of_the_peer(pairs, encoder, output_format):
    mine, other = both(pairs, encoder, output_format=output_format, output_scores=True)
    assert any(name.startswith("score") for name in mine.column_names)
    assert_equal(mine, other)


def test_candidates_scored_by_a_reranker_are_those_of_the_peer(pairs, encoder, reranker):
    options = {"cross_encoder": reranker, "output_scores": True, "corpus": CORPUS}
    mine, other = both(pairs, encoder, absolute_margin=0.001, **options)
    assert len(mine) > 0
    assert_equal(mine, other)


def test_positives_among_the_candidates_keep_their_rank_as_in_the_peer(pairs, encoder):
    options = {"include_positives": True, "num_negatives": 20, "output_scores": True}
    mine, other = both(pairs, encoder, output_format="n-tuple", **options)
    assert_equal(mine, other)
    assert any(
        row["answer"] in [row[f"negative_{i}"] for i in range(1, 21)] for row in mine.to_list()
    )


def test_older_arguments_still_work(pairs, encoder):
    mine, other = both(pairs, encoder, as_triplets=False, margin=0.0)
    assert_equal(mine, other)


# ------------------------------------------------------------ properties


def test_no_negative_is_a_positive_of_its_query(pairs, encoder):
    own: dict[str, set[str]] = {}
    for row in pairs.to_list():
        own.setdefault(row["query"], set()).add(row["answer"])
    mined = mine_hard_negatives(pairs, encoder, num_negatives=20, **QUIET)
    assert len(mined) > 100
    assert all(row["negative"] not in own[row["query"]] for row in mined.to_list())


def test_embeddings_are_read_again_from_the_cache(pairs, encoder, tmp_path):
    first = mine_hard_negatives(pairs, encoder, cache_folder=tmp_path, **QUIET)
    assert len(list(tmp_path.glob("*_embeddings_*.npy"))) == 2

    class Broken:
        similarity = encoder.similarity
        similarity_pairwise = encoder.similarity_pairwise
        model_card_data = encoder.model_card_data

        def encode_query(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("embedded anew")

        encode_document = encode_query

    again = mine_hard_negatives(pairs, Broken(), cache_folder=tmp_path, **QUIET)
    assert again.to_list() == first.to_list()


class Colours:
    """Embeds a text or a picture by its colour; nothing but `encode`."""

    colours = ("red", "green", "blue")

    def encode(self, items: list[Any]) -> list[list[float]]:
        return [self._one(item) for item in items]

    def _one(self, item: Any) -> list[float]:
        if isinstance(item, dict):
            item = item["image"]
        if isinstance(item, str):
            return [float(colour in item) + 0.1 for colour in self.colours]
        return [channel / 255 + 0.1 for channel in item.convert("RGB").getpixel((0, 0))]


def test_a_model_with_encode_alone_is_searched_by_the_cosine():
    dataset = Dataset.from_dict({"q": ["red", "green"], "d": ["red wine", "green tea"]})
    corpus = ["a red rose", "blue sky", "green grass"]
    mined = mine_hard_negatives(dataset, Colours(), corpus=corpus, num_negatives=1, **QUIET)
    assert list(mined["negative"]) == ["a red rose", "green grass"]


@pytest.mark.parametrize("output_format", ["triplet", "labeled-list"])
def test_pictures_are_mined_and_told_apart_by_content(output_format):
    def picture(colour: str) -> Image.Image:
        return Image.new("RGB", (8, 8), colour)

    dataset = Dataset.from_dict(
        {"q": ["red", "green", "blue"], "d": [picture("red"), picture("lime"), picture("blue")]}
    )
    corpus = [picture("darkred"), picture("darkred"), picture("red")]
    mined = mine_hard_negatives(
        dataset, Colours(), corpus=corpus, num_negatives=1, output_format=output_format, **QUIET
    )
    assert mined.features["q"].dtype == "string"
    found = mined[0]["negative"] if output_format == "triplet" else mined[0]["d"][1]
    # The red ones of the corpus are the positive itself; the nearest other one is dark red.
    assert found.getpixel((0, 0)) == (139, 0, 0)
    assert len(mined) == 3


def test_prompts_need_a_model_that_takes_them():
    dataset = Dataset.from_dict({"q": ["red"], "d": ["red wine"]})
    with pytest.raises(InputError, match="takes no prompts"):
        mine_hard_negatives(dataset, Colours(), query_prompt="query: ", **QUIET)


# ------------------------------------------------------------ refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_negatives": 0}, "num_negatives must be at least 1"),
        ({"range_min": -1}, "range_min=-1"),
        ({"range_min": 5, "range_max": 5}, "0 <= range_min < range_max"),
        ({"range_max": 2, "num_negatives": 3}, "those are fewer"),
        ({"output_format": "quadruplet"}, "Invalid output_format: 'quadruplet'"),
        ({"sampling_strategy": "best"}, "sampling_strategy='best'"),
        ({"faiss_batch_size": 0}, "faiss_batch_size must be a positive integer"),
    ],
)
def test_wrong_option_is_refused_before_anything_is_embedded(pairs, options, message):
    with pytest.raises(InputError, match=message):
        mine_hard_negatives(pairs, object(), **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [({"q": [], "d": []}, "The dataset is empty"), ({"q": ["a"]}, "one column, 'q'")],
)
def test_dataset_without_rows_or_positives_is_refused(data, message):
    with pytest.raises(InputError, match=message):
        mine_hard_negatives(Dataset.from_dict(data), object())


def test_missing_faiss_is_named(pairs, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(MissingExtra, match="pip install faiss-cpu"):
        mine_hard_negatives(pairs, object(), use_faiss=True)


def test_queries_without_enough_negatives_are_told_of(pairs, encoder, caplog):
    mine_hard_negatives(pairs, encoder, max_score=-1.0)
    assert "24 of 24 queries have fewer than 3 negatives" in caplog.text


def test_scores_stay_finite(pairs, encoder):
    mined = mine_hard_negatives(pairs, encoder, output_scores=True, range_max=60, **QUIET)
    assert torch.tensor(list(mined["scores"])).isfinite().all()
