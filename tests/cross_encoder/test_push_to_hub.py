"""push_to_hub against a hub that keeps its repositories in a folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mmrerank import CrossEncoder
from mmrerank.cross_encoder import hub
from tests import checkpoints

PAIRS = [("what is bread", "bread is baked from flour"), ("what is bread", "a river")]


class FolderHub:
    """The four calls of HfApi that an upload makes, on a folder; `asked` keeps their arguments."""

    root: Path
    asked: dict[str, Any]

    def __init__(self, token: str | None = None) -> None:
        self.asked["token"] = token

    def create_repo(self, repo_id: str, **options: Any) -> SimpleNamespace:
        self.asked["create_repo"] = options
        (self.root / repo_id).mkdir(parents=True, exist_ok=options["exist_ok"])
        return SimpleNamespace(repo_id=repo_id)

    def create_branch(self, repo_id: str, branch: str, exist_ok: bool) -> None:
        self.asked["branch"] = branch

    def file_exists(self, repo_id: str, name: str) -> bool:
        return (self.root / repo_id / name).exists()

    def upload_folder(self, repo_id: str, folder_path: Path, **options: Any) -> SimpleNamespace:
        self.asked["upload"] = options
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)
        return SimpleNamespace(commit_url=f"hub/{repo_id}/commit/1", pr_url=f"hub/{repo_id}/pr/1")


@pytest.fixture
def folder_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FolderHub]:
    made = type("Hub", (FolderHub,), {"root": tmp_path / "hub", "asked": {}})
    monkeypatch.setattr(hub, "HfApi", made)
    return made


@pytest.fixture
def model(tmp_path: Path) -> CrossEncoder:
    return CrossEncoder(str(checkpoints.build_bert(tmp_path / "bert")), device="cpu")


def test_uploaded_folder_loads_with_equal_scores(
    model: CrossEncoder, folder_hub: type[FolderHub]
) -> None:
    url = model.push_to_hub("me/reranker", token="secret", private=True)
    assert url == "hub/me/reranker/commit/1"
    assert folder_hub.asked["token"] == "secret"
    assert folder_hub.asked["create_repo"]["private"] is True
    uploaded = CrossEncoder(str(folder_hub.root / "me" / "reranker"), device="cpu")
    assert np.array_equal(uploaded.predict(PAIRS), model.predict(PAIRS))
    assert "me/reranker" in (folder_hub.root / "me/reranker/README.md").read_text()


def test_existing_repository_is_refused_unless_allowed(
    model: CrossEncoder, folder_hub: type[FolderHub]
) -> None:
    model.push_to_hub("me/reranker")
    with pytest.raises(FileExistsError):
        model.push_to_hub("me/reranker")


def test_model_card_in_the_repository_stays_unless_it_is_to_be_replaced(
    model: CrossEncoder, folder_hub: type[FolderHub]
) -> None:
    card = folder_hub.root / "me/reranker/README.md"
    card.parent.mkdir(parents=True)
    card.write_text("written by hand")
    model.push_to_hub("me/reranker", exist_ok=True)
    assert card.read_text() == "written by hand"
    model.push_to_hub("me/reranker", exist_ok=True, replace_model_card=True)
    assert card.read_text() != "written by hand"


def test_pull_request_on_a_branch_gives_its_address(
    model: CrossEncoder, folder_hub: type[FolderHub]
) -> None:
    url = model.push_to_hub("me/reranker", create_pr=True, revision="v2", commit_message="mine")
    assert url == "hub/me/reranker/pr/1"
    assert folder_hub.asked["branch"] == "v2"
    assert folder_hub.asked["upload"]["commit_message"] == "mine"
    assert folder_hub.asked["upload"]["create_pr"] is True
