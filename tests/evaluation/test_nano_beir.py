"""NanoBEIR from local data: as the peer reads it, from plain files, and from tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers.cross_encoder.evaluation import (
    CrossEncoderNanoBEIREvaluator as PeerEvaluator,
)

from mmrerank.cross_encoder.evaluation import CrossEncoderNanoBEIREvaluator
from mmrerank.errors import InputError
from tests.evaluation._data import QUERIES, TEXTS
from tests.evaluation.test_parity import assert_same_csv

CORPUS = [{"_id": f"d{i}", "text": text} for i, text in enumerate(TEXTS)]
TABLES: dict[str, list[dict[str, Any]]] = {
    "corpus": CORPUS,
    "queries": [{"_id": f"q{i}", "text": text} for i, text in enumerate(QUERIES)],
    "qrels": [
        {"query-id": "q0", "corpus-id": "d0"},
        {"query-id": "q0", "corpus-id": "d7"},
        {"query-id": "q1", "corpus-id": "d1"},
        {"query-id": "q2", "corpus-id": "d5"},
    ],
    "bm25": [
        {"query-id": "q0", "corpus-ids": ["d3", "d0", "d2", "d1", "d4"]},
        {"query-id": "q1", "corpus-ids": ["d1", "d2", "d6", "d7", "d0"]},
        {"query-id": "q2", "corpus-ids": ["d4", "d3", "d6", "d5", "d7"]},
    ],
}
SPLITS = ("NanoMSMARCO", "NanoNQ")


@pytest.fixture
def _datasets_keep_to_the_test(tmp_path, monkeypatch):
    """`datasets` copies what it reads into its cache."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write_folder(folder: Path, *, with_card: bool) -> Path:
    """As on the hub; the card tells `datasets` where the splits are, and the peer needs it."""
    configs = []
    for subset, rows in TABLES.items():
        (folder / subset).mkdir(parents=True)
        lines = [f"- config_name: {subset}", "  data_files:"]
        for split in SPLITS:
            path = folder / subset / f"{split}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            lines += [f"  - split: {split}", f"    path: {subset}/{split}.jsonl"]
        configs += lines
    if with_card:
        card = "\n".join(["---", "configs:", *configs, "---", ""])
        (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


@pytest.mark.usefixtures("_datasets_keep_to_the_test")
def test_folder_gives_what_the_peer_gives(ours_of, peer_of, tmp_path):
    folder = write_folder(tmp_path / "nano", with_card=True)
    options: dict[str, Any] = {"dataset_id": str(folder), "rerank_k": 4, "at_k": 3}
    mine = CrossEncoderNanoBEIREvaluator(["msmarco", "NQ"], **options)
    peer = PeerEvaluator(["msmarco", "NQ"], **options)
    found = mine(ours_of("bert"), str(tmp_path / "mine"), 1, 5)
    expected = peer(peer_of("bert"), str(tmp_path / "peer"), 1, 5)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, abs=1e-6)
    assert mine.primary_metric == peer.primary_metric == "NanoBEIR_R4_mean_ndcg@3"
    assert mine.get_config_dict() == peer.get_config_dict()
    assert_same_csv(tmp_path / "mine", tmp_path / "peer")


@pytest.mark.usefixtures("_datasets_keep_to_the_test")
def test_plain_files_and_given_tables_are_the_same_data(ours_of, tmp_path):
    folder = write_folder(tmp_path / "nano", with_card=False)
    tables = {subset: dict.fromkeys(SPLITS, rows) for subset, rows in TABLES.items()}
    of_files, of_tables = (
        CrossEncoderNanoBEIREvaluator(["msmarco", "nq"], dataset_id=source)(ours_of("bert"))
        for source in (folder, tables)
    )
    assert of_files == of_tables
    assert "NanoNQ_R100_ndcg@10" in of_files


def test_own_way_to_aggregate_has_its_own_name(ours_of):
    tables = {subset: {"NanoNQ": rows} for subset, rows in TABLES.items()}
    evaluator = CrossEncoderNanoBEIREvaluator(
        ["nq"], dataset_id=tables, aggregate_fn=max, aggregate_key="max"
    )
    found = evaluator(ours_of("bert"))
    assert found["NanoBEIR_R100_max_map"] == found["NanoNQ_R100_map"]
    assert evaluator.csv_file == "NanoBEIR_evaluation_max_results.csv"


def test_corpus_of_pictures_gives_input_dicts():
    from PIL import Image

    from mmrerank.evaluation.nano_datasets import read_samples

    red = Image.new("RGB", (8, 8), "red")
    corpus = [{**row, "image": red, "text": None} for row in CORPUS]
    tables = {subset: {"NanoNQ": rows} for subset, rows in {**TABLES, "corpus": corpus}.items()}
    sample = read_samples(tables, "nq", 2)[0]
    assert sample["query"] == QUERIES[0]
    assert sample["documents"] == [{"image": red}, {"image": red}]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"corpus": CORPUS[1:]}, "no document with the id 'd0'"),
        ({"queries": TABLES["queries"][:1]}, "no query with the id 'q1'"),
        ({"bm25": [{"query-id": "q0"}]}, "no column.*corpus-ids"),
        ({"bm25": []}, "no column"),
    ],
)
def test_tables_that_do_not_fit_are_named(changed, says):
    tables = {subset: {"NanoNQ": rows} for subset, rows in {**TABLES, **changed}.items()}
    with pytest.raises(InputError, match=says):
        CrossEncoderNanoBEIREvaluator(["nq"], dataset_id=tables)


@pytest.mark.parametrize(
    ("names", "says"), [([], "cannot be empty"), (["imdb"], r"\['imdb'\] are not valid")]
)
def test_unknown_datasets_are_refused_as_by_the_peer(names, says):
    for evaluator in (CrossEncoderNanoBEIREvaluator, PeerEvaluator):
        with pytest.raises(ValueError, match=says):
            evaluator(names)


@pytest.mark.usefixtures("_datasets_keep_to_the_test")
def test_missing_folder_says_what_one_looks_like(tmp_path):
    with pytest.raises(InputError, match=r"Could not load subset 'corpus'.*corpus/NanoNQ\.jsonl"):
        CrossEncoderNanoBEIREvaluator(["nq"], dataset_id=tmp_path / "none")
