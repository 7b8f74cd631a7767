"""The sentence-transformers on-disk form: which json files there are and what stands in them.

Plain json, no torch. Source: sentence-transformers 6.2, files written by
`CrossEncoder.save_pretrained`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmrerank.errors import CheckpointError

__all__ = [
    "ENCODER_DECODER",
    "LOGIT_SCORE_TYPE",
    "MODEL_FILE",
    "MODULES_FILE",
    "PEER_PACKAGE",
    "SPECIAL_TOKENS",
    "TRANSFORMER_FILES",
    "TRANSFORMER_TYPE",
    "StFiles",
    "StModule",
    "read_json",
    "read_st_files",
    "write_json",
    "write_st_files",
]

# Among the template's variables, where other readers take no notice of it: whether the tokenizer
# adds its special tokens to a rendered prompt.
SPECIAL_TOKENS = "adds_special_tokens"
# Beside the transformer's task: the fields of EncoderDecoderSpec. The peer refuses that task.
ENCODER_DECODER = "encoder_decoder"
MODULES_FILE = "modules.json"
MODEL_FILE = "config_sentence_transformers.json"
# Older repositories name the transformer's file after its architecture.
TRANSFORMER_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Classes of modules that are the peer's own, and no checkpoint's.
PEER_PACKAGE = "sentence_transformers."
TRANSFORMER_TYPE = "sentence_transformers.base.modules.transformer.Transformer"
LOGIT_SCORE_TYPE = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"


@dataclass(frozen=True, slots=True)
class StModule:
    """One entry of modules.json. kind is the class name alone; config is the module's own
    config.json.
    """

    kind: str
    path: str
    config: Mapping[str, Any] = field(default_factory=dict)
    type: str = ""


@dataclass(frozen=True, slots=True)
class StFiles:
    """The three json files. modules is empty and the others {} where the checkpoint has none."""

    modules: tuple[StModule, ...] = ()
    transformer: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def transformer_path(self) -> str:
        """Folder of the transformer inside the checkpoint, "" for the checkpoint's own."""
        return next((module.path for module in self.modules if module.kind == "Transformer"), "")

    @property
    def head_modules(self) -> tuple[StModule, ...]:
        """The modules after the transformer."""
        return tuple(module for module in self.modules if module.kind != "Transformer")

    def head(self, kind: str) -> StModule | None:
        """The first module of that kind after the transformer."""
        return next((module for module in self.head_modules if module.kind == kind), None)

    @property
    def names_own_code(self) -> bool:
        """Whether a module is a class of the checkpoint's own Python files."""
        return any(
            not module.type.startswith(PEER_PACKAGE) for module in self.modules if module.type
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        """Keys of modality_config, without "message" and the joined ones."""
        keys = self.transformer.get("modality_config", {})
        return tuple(key for key in keys if key in ("text", "image", "audio", "video"))


def read_st_files(folder: Path) -> StFiles:
    """Read what there is; a folder without such files gives an empty StFiles."""
    modules = []
    entries = read_json(folder / MODULES_FILE, default=[])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(
            f"{MODULES_FILE} of the checkpoint is no list of modules; take it from a checkpoint of "
            "the same family, or delete it to have the family decide"
        )
    for entry in entries:
        kind = str(entry.get("type", "")).rsplit(".", 1)[-1]
        path = str(entry.get("path", ""))
        config = read_json(folder / path / "config.json", default={}) if path else {}
        modules.append(
            StModule(kind=kind, path=path, config=config, type=str(entry.get("type", "")))
        )
    transformer: Mapping[str, Any] = {}
    root = folder / StFiles(tuple(modules)).transformer_path
    for file in TRANSFORMER_FILES:
        transformer = read_json(root / file, default={})
        if transformer:
            break
    return StFiles(tuple(modules), transformer, read_json(folder / MODEL_FILE, default={}))


def write_st_files(folder: Path, files: StFiles) -> None:
    """Write the json files in the form that sentence-transformers 6.2 reads. Weights are not
    written here.
    """
    entries = [
        {"idx": index, "name": str(index), "path": module.path, "type": module.type}
        for index, module in enumerate(files.modules)
    ]
    write_json(folder / MODULES_FILE, entries)
    write_json(folder / TRANSFORMER_FILES[0], dict(files.transformer))
    write_json(folder / MODEL_FILE, dict(files.model))
    for module in files.modules:
        if module.path:
            (folder / module.path).mkdir(parents=True, exist_ok=True)
            write_json(folder / module.path / "config.json", dict(module.config))


def read_json(path: Path, *, default: Any = None) -> Any:
    """A json file's value, or `default` where there is no file.

    Raises CheckpointError naming the file when it is no valid json.
    """
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(
            f"{path.name} of the checkpoint is not valid json: {error}"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as the peer does: indented by four spaces, with a final line end."""
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
