"""Lay folders out as a Hugging Face hub cache, so that hub ids resolve without a network."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

__all__ = ["hub_environment", "lay_out_hub_cache"]

_OTHER_CACHES = ("SENTENCE_TRANSFORMERS_HOME", "TRANSFORMERS_CACHE", "HUGGINGFACE_HUB_CACHE")


def lay_out_hub_cache(cache_dir: Path, repositories: Mapping[str, Path]) -> dict[str, Path]:
    """Copy each folder into `cache_dir` as the snapshot of the `main` branch of its hub id.

    repositories: hub id ("org/name") to a checkpoint folder.
    Returns the snapshot folder of each id. The commit hash is made from the files' contents, so
    the same folder always has the same one. A file that is not there is reported as "not there"
    offline, too (LocalEntryNotFoundError is an EntryNotFoundError); no marker is needed for it.
    """
    return {repo_id: _add(cache_dir, repo_id, folder) for repo_id, folder in repositories.items()}


def hub_environment(cache_dir: Path) -> dict[str, str]:
    """Environment for a subprocess that must see `cache_dir` only and may not ask the hub."""
    inherited = {name: value for name, value in os.environ.items() if name not in _OTHER_CACHES}
    return {
        **inherited,
        "HF_HOME": str(cache_dir.parent),
        "HF_HUB_CACHE": str(cache_dir),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",  # more threads only wait for each other on models this small
    }


def _add(cache_dir: Path, repo_id: str, folder: Path) -> Path:
    repository = cache_dir / f"models--{repo_id.replace('/', '--')}"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path: path.relative_to(folder).as_posix() for path in files}
    hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    listing = "\n".join(f"{names[path]} {hashes[path]}" for path in files)
    commit = hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()
    snapshot = repository / "snapshots" / commit
    for path in files:
        blob = repository / "blobs" / hashes[path]
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, blob)
        link = snapshot / names[path]
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    reference = repository / "refs" / "main"
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(commit, encoding="utf-8")
    return snapshot
