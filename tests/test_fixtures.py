"""The media in fixtures/ are small, and each has a line in ORIGIN.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mmrerank.errors import MediaError
from mmrerank.inputs import parse_document
from mmrerank.media import MediaPolicy, load_documents
from mmrerank.types import DecodeBudget, Document, LoadedDocument

FIXTURES = Path(__file__).parents[1] / "fixtures"
MEDIA, HOSTILE = FIXTURES / "media", FIXTURES / "hostile"
NAMED = re.findall(r"`([\w.]+)`", (FIXTURES / "ORIGIN.md").read_text(encoding="utf-8"))


def lines_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (MEDIA / name).read_text(encoding="utf-8").splitlines()]


def load(documents: list[Document]) -> list[LoadedDocument | MediaError]:
    names = [f"documents[{index}]" for index in range(len(documents))]
    return load_documents(documents, DecodeBudget(), MediaPolicy.local(), names=names)


@pytest.mark.parametrize("folder", [MEDIA, HOSTILE], ids=lambda folder: folder.name)
def test_every_file_has_a_line_in_the_table_of_origins(folder: Path):
    assert [path.name for path in sorted(folder.iterdir()) if path.name not in NAMED] == []


def test_all_fixtures_together_stay_small():
    sizes = [path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()]
    assert sum(sizes) < 5_000_000


def test_queries_name_documents_that_are_there():
    ids = [line["id"] for line in lines_of("documents.jsonl")]
    assert len(set(ids)) == len(ids) == 20
    assert {name for line in lines_of("queries.jsonl") for name in line["relevant"]} <= set(ids)


def test_documents_hold_every_modality_and_all_of_them_load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(MEDIA)
    documents = [
        parse_document({key: value for key, value in line.items() if key != "id"})
        for line in lines_of("documents.jsonl")
    ]
    loaded = load(documents)
    assert {kind for document in documents for kind in document.modalities} == {
        "text",
        "image",
        "audio",
        "video",
    }
    assert [error for error in loaded if isinstance(error, Exception)] == []


@pytest.mark.parametrize("path", sorted(HOSTILE.iterdir()), ids=lambda path: path.name)
def test_hostile_file_is_refused_in_a_sentence(path: Path):
    (loaded,) = load([parse_document(path)])
    assert isinstance(loaded, MediaError)
    assert path.name in str(loaded)
