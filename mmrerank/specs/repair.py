"""Sentence-transformers files that are incomplete or point elsewhere, read as they were meant.

Each repair is a sentence for the user; what cannot be repaired is left for the loader to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mmrerank.errors import CheckpointError, shorten
from mmrerank.specs.st_format import (
    MODEL_FILE,
    MODULES_FILE,
    PEER_PACKAGE,
    TRANSFORMER_FILES,
    StFiles,
    StModule,
    read_json,
)

__all__ = ["repaired_modules", "repaired_settings"]

_NEED_CONFIG = frozenset({"LogitScore", "Pooling", "Dense", "LayerNorm"})
# A spelling that some repositories carry and sentence-transformers 6.2 cannot import.
_UNKNOWN_SPELLING = "sentence_transformers.base.models."
_MEDIA = {"image": "image_processor", "audio": "feature_extractor", "video": "video_processor"}


def repaired_modules(folder: Path, st: StFiles) -> tuple[StFiles, list[str]]:
    """Modules whose folder is wrong are looked for beside it. Returns what was done, in sentences.

    Raises CheckpointError when modules.json points out of the checkpoint.
    """
    for module in st.modules:
        _refuse_outside(module)
    st, notes = _at_home(folder, st)
    lacking = [module for module in st.head_modules if _lacks_config(module)]
    claimed = {module.path for module in st.modules if module not in lacking}
    found: dict[str, StModule] = {}
    for kind in dict.fromkeys(module.kind for module in lacking):
        wanted = [module for module in lacking if module.kind == kind]
        there = _folders_of(kind, folder, claimed)
        if len(there) != len(wanted):
            continue
        for module, (path, config) in zip(wanted, there, strict=True):
            found[module.path] = replace(module, path=path, config=config)
            notes.append(
                f"{MODULES_FILE} says that {kind} lies in {shorten(module.path)}, where it is not; "
                f"{shorten(path)} is read in its place"
            )
    modules = tuple(
        found.get(module.path, module) if module in lacking else module for module in st.modules
    )
    notes += _notes_on_names(modules)
    return replace(st, modules=modules), notes


def repaired_settings(
    st: StFiles, architecture: str, media: Mapping[str, Any], *, has_template: bool
) -> tuple[StFiles, list[str]]:
    """What a missing file would have said, from the modules and from the other files."""
    if not any(module.type.startswith(PEER_PACKAGE) or not module.type for module in st.modules):
        return st, []  # there are no modules, or all are classes of the checkpoint's own
    notes = []
    if not st.transformer:
        st = replace(st, transformer=_inferred(st, architecture, media, has_template=has_template))
        task = st.transformer.get("transformer_task", "left to the processor")
        notes.append(f"there is no {TRANSFORMER_FILES[0]}; the task was inferred: {task}")
    if not st.model:
        notes.append(
            f"there is no {MODEL_FILE}, so the saved activation and prompts are unknown; the "
            "defaults are in force. Pass activation_fn=... and prompts=... if the model needs "
            "others"
        )
    score = st.head("LogitScore")
    if score is not None and "true_token_id" not in score.config:
        notes.append(
            f"{score.path}/config.json names no true_token_id; the score is read from the tokens "
            "that the processor names"
        )
    return st, notes


def _at_home(folder: Path, st: StFiles) -> tuple[StFiles, list[str]]:
    """A transformer that is said to lie in a subfolder, and lies in the checkpoint's own."""
    path = st.transformer_path
    if not path or (folder / path).is_dir() or not (folder / "config.json").is_file():
        return st, []
    modules = tuple(
        replace(module, path="") if module.kind == "Transformer" else module
        for module in st.modules
    )
    settings: Mapping[str, Any] = next(
        (found for file in TRANSFORMER_FILES if (found := read_json(folder / file))), {}
    )
    note = (
        f"{MODULES_FILE} says that the transformer lies in {shorten(path)}, which is not there; "
        "the checkpoint's own folder is read in its place"
    )
    return replace(st, modules=modules, transformer=settings), [note]


def _refuse_outside(module: StModule) -> None:
    path = PurePosixPath(module.path.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in module.path:
        raise CheckpointError(
            f"{MODULES_FILE}: the path {shorten(module.path)} of {shorten(module.kind)} leads out "
            "of the checkpoint, so it is not read"
        )


def _lacks_config(module: StModule) -> bool:
    return module.kind in _NEED_CONFIG and not module.config


def _folders_of(kind: str, folder: Path, claimed: set[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Subfolders that hold a module of that kind, by name, which no other module has taken."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for file in sorted(folder.glob("*/config.json")):
        path = file.parent.name
        config = read_json(file)
        is_score = kind == "LogitScore" and "true_token_id" in config
        if (
            isinstance(config, dict)
            and path not in claimed
            and (path.rsplit("_", 1)[-1] == kind or is_score)
        ):
            found.append((path, config))
    return found


def _notes_on_names(modules: Sequence[StModule]) -> list[str]:
    return [
        f"{MODULES_FILE} calls a module {module.type}, a name that sentence-transformers cannot "
        "import; save_pretrained writes the right one"
        for module in modules
        if module.type.startswith(_UNKNOWN_SPELLING)
    ]


def _inferred(
    st: StFiles, architecture: str, media: Mapping[str, Any], *, has_template: bool
) -> dict[str, Any]:
    """Content of sentence_bert_config.json as far as the other files tell it."""
    kinds = {module.kind for module in st.head_modules}
    modalities = ["text", *(name for name, part in _MEDIA.items() if part in media)]
    config: dict[str, Any] = {
        "modality_config": {name: {} for name in [*modalities, *(["message"] * has_template)]}
    }
    if "LogitScore" in kinds:
        is_text = architecture.endswith("ForCausalLM")
        config["transformer_task"] = "text-generation" if is_text else "any-to-any"
    elif kinds & {"Pooling", "Dense"}:
        config["transformer_task"] = "feature-extraction"
    elif architecture.endswith("ForSequenceClassification"):
        config["transformer_task"] = "sequence-classification"
    return config
