"""CheckpointFacts: everything that the checkpoint's own files say, before anything is decided."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmrerank.errors import CheckpointError
from mmrerank.specs.recorded import read_record
from mmrerank.specs.repair import repaired_modules, repaired_settings
from mmrerank.specs.st_format import StFiles, read_json, read_st_files

__all__ = ["CheckpointFacts", "read_facts"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What the files of a checkpoint say.

    name: as the user gave it (repository id or path). config: config.json. templates: chat
    templates by
    name, "default" for the plain one. st: the sentence-transformers files, empty where there are
    none.
    media: the image, video and audio processor's settings, {} where the checkpoint has none.
    record: what mmrerank has noted of the family when it saved the folder, {} elsewhere.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    st: StFiles = field(default_factory=StFiles)
    templates: Mapping[str, str] = field(default_factory=dict)
    media: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_type(self) -> str:
        """model_type of config.json, "" where absent."""
        return str(self.config.get("model_type", ""))

    @property
    def architecture(self) -> str:
        """First of `architectures`, "" where absent."""
        return str((self.config.get("architectures") or [""])[0])

    @property
    def chosen_template(self) -> str:
        """The template that the checkpoint asks for: the one its ST files name, else "reranker",
        else the default.
        """
        named = (
            self.st.transformer.get("processing_kwargs", {})
            .get("chat_template", {})
            .get("chat_template")
        )
        if isinstance(named, str):
            # The value may be a name or the template itself.
            return self.templates.get(named, named if "{" in named else "")
        return self.templates.get("reranker", self.templates.get("default", ""))


def read_facts(
    name: str,
    folder: Path,
    *,
    config_overrides: Mapping[str, Any] | None = None,
    config_folder: Path | None = None,
) -> CheckpointFacts:
    """Read the json and jinja files of a checkpoint folder.

    config_folder: where config.json lies, for a folder that holds an adapter alone.
    Files that are missing or misplaced are made up for where that is certain, with a warning each.
    Raises CheckpointError when there is no config.json, or when modules.json leads out of the
    folder.
    """
    st, misplaced = repaired_modules(folder, read_st_files(folder))
    root = folder / st.transformer_path
    config = read_json((config_folder or root) / "config.json")
    if config is None:
        raise CheckpointError(_no_config(name, folder))
    facts = CheckpointFacts(
        name=name,
        folder=folder,
        config={**config, **(config_overrides or {})},
        st=st,
        templates=_read_templates(root),
        media=_read_media_settings(root),
        record=read_record(folder),
    )
    st, missing = repaired_settings(
        st, facts.architecture, facts.media, has_template=bool(facts.chosen_template)
    )
    for note in (*misplaced, *missing):
        logger.warning("%s: %s", name, note)
    return replace(facts, st=st)


def _no_config(name: str, folder: Path) -> str:
    """The hub's copy leaves GGUF files out, so there the name has to tell."""
    if "gguf" in name.lower() or any(folder.glob("*.gguf")):
        return (
            f"{name}: weights in GGUF form are those of another runtime and are not read here. Use "
            "the repository that they were made from, with config.json and *.safetensors."
        )
    return f"{name}: there is no config.json in the checkpoint, so it is no transformers model"


def _read_templates(folder: Path) -> dict[str, str]:
    """Chat templates in every layout that transformers has used; later ones win, as there."""
    found: dict[str, str] = {}
    found.update(
        _named(read_json(folder / "tokenizer_config.json", default={}).get("chat_template"))
    )
    found.update(_named(read_json(folder / "chat_template.json", default={}).get("chat_template")))
    default = folder / "chat_template.jinja"
    if default.is_file():
        found["default"] = default.read_text(encoding="utf-8")
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        found[path.stem] = path.read_text(encoding="utf-8")
    return found


def _named(value: Any) -> dict[str, str]:
    """A template field is a string, a dict by name, or a list of {"name", "template"}."""
    if isinstance(value, str):
        return {"default": value}
    if isinstance(value, Mapping):
        return {str(name): str(template) for name, template in value.items()}
    if isinstance(value, list):
        return {str(item["name"]): str(item["template"]) for item in value}
    return {}


def _read_media_settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    flat = read_json(folder / "preprocessor_config.json", default={})
    if flat:
        settings["image_processor"] = flat
        if "sampling_rate" in flat:
            settings["feature_extractor"] = flat
    video = read_json(folder / "video_preprocessor_config.json", default={})
    if video:
        settings["video_processor"] = video
    nested = read_json(folder / "processor_config.json", default={})
    settings.update({key: value for key, value in nested.items() if isinstance(value, Mapping)})
    return settings
