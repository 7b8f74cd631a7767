"""golden.json: what the committed files hold, and mistakes named with file and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmrerank.errors import SpecError
from mmrerank.specs import processor_folders
from mmrerank.specs.golden import read_golden
from mmrerank.specs.read import read_processor

CASE: dict[str, Any] = {
    "model": "someone/model",
    "dtype": "float32",
    "query": "a query",
    "documents": ["a", {"image": "b.png"}],
    "scores": [1.5, -2],
    "scale": "logit",
    "tolerance": 0.001,
}
WITH_GOLDEN = [folder for folder in processor_folders() if (folder / "golden.json").is_file()]


def _write(folder: Path, case: dict[str, Any], **top: Any) -> Path:
    data = {"source": "a card", "cases": [case], **top}
    (folder / "golden.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_case_is_read_with_the_files_source(tmp_path: Path) -> None:
    (case,) = read_golden(_write(tmp_path, CASE))
    assert (case.documents, case.scores) == (("a", {"image": "b.png"}), (1.5, -2.0))
    assert (case.source, case.scale, case.tolerance) == ("a card", "logit", 0.001)


def test_case_may_name_a_source_of_its_own(tmp_path: Path) -> None:
    assert read_golden(_write(tmp_path, {**CASE, "source": "a post"}))[0].source == "a post"


def test_labels_are_read_as_one_tuple_a_document(tmp_path: Path) -> None:
    (case,) = read_golden(_write(tmp_path, {**CASE, "scores": [[1, 2, 3], [4, 5, 6]]}))
    assert case.scores == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_folder_without_golden_pairs_has_none(tmp_path: Path) -> None:
    assert read_golden(tmp_path) == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": "percent"}, r"cases\[0\]: scale = 'percent': one of logit"),
        ({"dtype": "int8"}, r"cases\[0\]: dtype = 'int8'"),
        ({"tolerance": 0}, r"tolerance = 0: needs a number above 0"),
        ({"query": ""}, r"query = '': needs a text"),
        ({"documents": ["a"]}, r"1 documents and 2 scores"),
        ({"documents": ["a", 3]}, r"documents needs a list of str or dict"),
        ({"scores": "high"}, r"scores needs a list"),
        ({"socre": 1}, r"unknown key 'socre'"),
    ],
)
def test_mistake_is_named_with_file_and_key(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=rf"golden\.json: .*{message}"):
        read_golden(_write(tmp_path, {**CASE, **change}))


def test_missing_keys_and_a_missing_source_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cases\[0\] needs scores, tolerance"):
        read_golden(
            _write(tmp_path, {k: CASE[k] for k in CASE if k not in ("scores", "tolerance")})
        )
    with pytest.raises(SpecError, match="no source is named"):
        read_golden(_write(tmp_path, CASE, source=""))


@pytest.mark.parametrize("folder", WITH_GOLDEN, ids=lambda folder: folder.name)
def test_published_scores_fit_the_familys_scales(folder: Path) -> None:
    family = read_processor(folder)
    for case in read_golden(folder):
        assert case.scale in family.head.scales
        values = [value for score in case.scores for value in [score] if isinstance(value, float)]
        if case.scale == "probability":
            assert all(0 <= value <= 1 for value in values)


def test_there_are_published_scores_for_many_families() -> None:
    assert len(WITH_GOLDEN) >= 15
