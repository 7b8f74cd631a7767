"""Uploading a model to the Hugging Face hub."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi

if TYPE_CHECKING:
    from mmrerank.cross_encoder.stored import Stored

__all__ = ["Upload", "push"]


@dataclass(frozen=True, slots=True)
class Upload:
    """Where an upload goes and how it is announced."""

    repo_id: str
    token: str | None = None
    private: bool | None = None
    commit_message: str | None = None
    exist_ok: bool = False
    replace_model_card: bool = False
    revision: str | None = None
    create_pr: bool = False


def push(
    model: Stored,
    upload: Upload,
    local_model_path: str | None,
    *,
    safe_serialization: bool,
    train_datasets: list[str] | None,
) -> str:
    """Create the repository, save the model beside, upload the folder. Returns the URL of the
    commit.
    """
    api = HfApi(token=upload.token)
    repo = api.create_repo(
        upload.repo_id,
        private=upload.private,
        exist_ok=upload.exist_ok or upload.create_pr,
        repo_type=None,
    )
    if upload.revision is not None:
        api.create_branch(repo.repo_id, branch=upload.revision, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(local_model_path or scratch)
        if local_model_path is None:
            keeps_card = not upload.replace_model_card and api.file_exists(
                repo.repo_id, "README.md"
            )
            model.save_pretrained(
                folder,
                model_name=repo.repo_id,
                create_model_card=not keeps_card,
                train_datasets=train_datasets,
                safe_serialization=safe_serialization,
            )
        commit = api.upload_folder(
            repo_id=repo.repo_id,
            folder_path=folder,
            commit_message=upload.commit_message or "Add a CrossEncoder model",
            revision=upload.revision,
            create_pr=upload.create_pr,
        )
    return str(commit.pr_url if upload.create_pr else commit.commit_url)
