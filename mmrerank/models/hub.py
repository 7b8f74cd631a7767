"""From a name to a folder: a path, the embedded model, or a repository of the Hugging Face hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mmrerank.errors import CheckpointError

__all__ = ["EMBEDDED_MODEL", "fetch_checkpoint"]

EMBEDDED_MODEL = "tiny-omni"
_EMBEDDED_FOLDER = Path(__file__).resolve().parent.parent / "checkpoints" / EMBEDDED_MODEL
_DEFAULT_ORGANIZATION = "cross-encoder"
# Pickled weights can run code when they are read; exports for other runtimes are not read here.
_NEVER = ["*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.ot", "onnx/*", "openvino/*", "*.gguf"]
_CODE = ["*.py"]


def fetch_checkpoint(
    name: str,
    *,
    revision: str | None = None,
    cache_folder: str | None = None,
    local_files_only: bool = False,
    token: bool | str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
) -> Path:
    """The folder of a checkpoint, downloaded into the hub's cache where needed.

    Code of the repository is left behind without `trust_remote_code`, pickled weights without
    `allow_pickle`.
    Raises CheckpointError when there is neither such a folder nor such a repository.
    """
    if os.path.isdir(name):
        return Path(name)
    if name == EMBEDDED_MODEL:
        if not _EMBEDDED_FOLDER.is_dir():
            raise CheckpointError(
                "the embedded model is missing from this installation; reinstall mmrerank"
            )
        return _EMBEDDED_FOLDER
    if name.count("/") > 1 or os.path.isabs(name) or name.startswith("."):
        raise CheckpointError(f"{name}: there is no such folder")
    ignored = [pattern for pattern in _NEVER if not (allow_pickle and pattern == "*.bin")]
    options: dict[str, Any] = {
        "revision": revision,
        "cache_dir": cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
        "local_files_only": local_files_only,
        "token": token,
        "ignore_patterns": ignored + ([] if trust_remote_code else _CODE),
    }
    # A bare name is one of the cross-encoder organisation, or else an old repository without an
    # owner.
    candidates = [name] if "/" in name else [f"{_DEFAULT_ORGANIZATION}/{name}", name]
    problems = []
    for candidate in candidates:
        try:
            return Path(snapshot_download(candidate, **options))
        except (
            RepositoryNotFoundError,
            RevisionNotFoundError,
            LocalEntryNotFoundError,
            HFValidationError,
        ) as error:
            problems.append(f"{candidate}: {str(error).splitlines()[0]}")
        except (HfHubHTTPError, OSError) as error:
            problems.append(f"{candidate}: {type(error).__name__}: {str(error).splitlines()[0]}")
    raise CheckpointError(
        f"{name!r} is neither a folder nor a repository that could be had. " + " · ".join(problems)
    )
