"""A saved folder tells its family and its limits, whatever it is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder as Peer

from mmrerank import CrossEncoder
from mmrerank.errors import CheckpointError
from tests.cross_encoder._samples import assert_same_scores
from tests.families.registry import FAMILIES, load_options
from tests.prompting._pairs import UNCLOSED_TEMPLATES

pytestmark = UNCLOSED_TEMPLATES

# Families that are known by a name, and whose vendors cut the two sides in ways of their own.
NAMED = [
    "bge-reranker",
    "bge-reranker-gemma",
    "monoqwen2-vl",
    "jina-reranker-v2",
    "mxbai-rerank-v2",
]
WITH_LIMITS = ["bge-reranker", "bge-reranker-gemma"]
LONG = [("river " * 90, "train " * 90), ("a train", "mountain " * 200), ("river " * 200, "train")]
Saved = Callable[[str], tuple[CrossEncoder, Path]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """family -> the model, and the folder without a telling name that it was saved to."""
    root = tmp_path_factory.mktemp("recorded")

    def save(family: str) -> tuple[CrossEncoder, Path]:
        model = _load(FAMILIES[family](root / family), max_length=96, **load_options(family))
        folder = root / family / "my-model"
        model.save_pretrained(folder)
        return model, folder

    return cache(save)


def _load(folder: Path, **options: Any) -> CrossEncoder:
    return CrossEncoder(str(folder), device="cpu", **options)


def _edit(folder: Path, copy: Path, record: Any) -> Path:
    shutil.copytree(folder, copy)
    (copy / "mmrerank.json").write_text(json.dumps(record), encoding="utf-8")
    return copy


@pytest.mark.parametrize("family", NAMED)
def test_family_is_known_under_another_name(family: str, saved: Saved) -> None:
    model, folder = saved(family)
    assert model.describe()["family"] == family
    assert _load(folder, **load_options(family)).describe()["family"] == family


@pytest.mark.parametrize("family", WITH_LIMITS)
def test_long_pairs_score_equally_under_another_name(
    family: str, saved: Saved, tmp_path: Path
) -> None:
    model, folder = saved(family)
    expected = model.predict(LONG)
    assert_same_scores(_load(folder).predict(LONG), expected)
    without = _load(_edit(folder, tmp_path / "without", {})).predict(LONG)
    assert abs(without - expected).max() > 1e-3, "the limits change nothing here"


def test_model_in_a_vendors_files_is_refused_by_its_familys_name(saved: Saved) -> None:
    _, folder = saved("jina-reranker-v1")
    with pytest.raises(CheckpointError, match=r"'jina-reranker-v1' .* trust_remote_code=True"):
        _load(folder)


def test_the_peer_takes_no_notice_of_the_file(saved: Saved, tmp_path: Path) -> None:
    _, folder = saved("bge-reranker")
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "mmrerank.json").unlink()
    pairs = [("a train", "mountain"), ("river", "train")]
    one, two = (Peer(str(path), device="cpu").predict(pairs) for path in (folder, copy))
    assert_same_scores(one, two, tolerance=0.0)


def test_processor_that_the_caller_names_goes_before_the_recorded_one(saved: Saved) -> None:
    _, folder = saved("bge-reranker")
    model = _load(folder, processor="sequence-classification")
    assert model.describe()["family"] == "sequence-classification"


@pytest.mark.parametrize("name", ["../bge-reranker", "no-such-family", 7, ["bge-reranker"]])
def test_a_record_that_names_no_folder_of_the_package_is_left_out(
    name: Any, saved: Saved, tmp_path: Path
) -> None:
    _, folder = saved("bge-reranker")
    copy = _edit(folder, tmp_path / "copy", {"processor": name})
    assert _load(copy).describe()["family"] == "sequence-classification"


def test_a_path_in_a_record_is_not_read(saved: Saved, tmp_path: Path) -> None:
    _, folder = saved("bge-reranker")
    own = tmp_path / "own"
    own.mkdir()
    (own / "processor.toml").write_text("this is no toml")
    copy = _edit(folder, tmp_path / "copy", {"processor": str(own)})
    assert _load(copy).describe()["family"] == "sequence-classification"


@pytest.mark.parametrize(
    "record",
    [{"truncation": {"max_query_share": "all"}}, {"truncation": {"max_query_share": 2.0}}, [1]],
)
def test_limits_that_are_none_are_an_error_that_names_the_file(
    record: Any, saved: Saved, tmp_path: Path
) -> None:
    _, folder = saved("bge-reranker")
    with pytest.raises(CheckpointError, match=r"mmrerank\.json"):
        _load(_edit(folder, tmp_path / "copy", record))


def test_saving_over_a_folder_leaves_no_record_of_another_model(
    saved: Saved, tmp_path: Path
) -> None:
    _, folder = saved("bge-reranker")
    own = tmp_path / "own-family"
    own.mkdir()
    (own / "processor.toml").write_text(
        'title = "Own"\nlink = "https://example.org"\n[match]\nmodel_types = ["xlm-roberta"]\n'
        '[template]\nkind = "tokenizer-pair"\n[head]\nkind = "builtin"\n'
        '[truncation]\nrule = "longest-first"\n'
    )
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    _load(folder, processor=str(own)).save_pretrained(copy)
    assert not (copy / "mmrerank.json").exists()
