"""A reranker on the tasks of MTEB, through the mteb package."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmrerank.errors import InputError, shorten
from mmrerank.evaluation.evaluator import Scorer, one_score_a_pair
from mmrerank.extras import require
from mmrerank.types import MODALITIES

__all__ = ["MTEBReranker", "load_task", "run_task"]


class MTEBReranker:
    """A model with the interface that mteb wants of a cross-encoder.

    name: as results are filed under. instruction: what counts as a match.
    """

    def __init__(
        self,
        model: Scorer,
        name: str,
        *,
        modalities: Sequence[str] = ("text",),
        instruction: str | None = None,
    ) -> None:
        self.model = model
        self.instruction = instruction
        self.mteb_model_meta = require(
            "mteb.models", to="run its tasks", extra="mteb"
        ).ModelMeta.create_empty(
            overwrites={
                # mteb files results under owner/name.
                "name": name if name.count("/") == 1 else f"local/{Path(name).name}",
                "modalities": list(modalities),
                "model_type": ["cross-encoder"],
            }
        )

    def predict(
        self,
        inputs1: Any,
        inputs2: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        batch_size: int = 32,
        show_progress_bar: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Scores (num_pairs,) of queries and documents, which come as two loaders of batches."""
        scores = [
            self.model.predict(
                list(zip(_rows(queries), _rows(documents), strict=True)),
                batch_size=batch_size,
                show_progress_bar=False,
                **({} if self.instruction is None else {"instruction": self.instruction}),
            )
            for queries, documents in zip(inputs1, inputs2, strict=True)
        ]
        joined = np.concatenate(scores) if scores else np.zeros(0, dtype=np.float32)
        return one_score_a_pair(joined, "mteb")


def _rows(batch: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Input dicts of one batch; a text in them is text, even where it looks like a path."""
    names = [name for name in MODALITIES if name in batch]
    for values in zip(*(batch[name] for name in names), strict=True):
        row = dict(zip(names, values, strict=True))
        yield {name: value for name, value in row.items() if value is not None}


def load_task(name: str) -> Any:
    """A task of mteb: by its name, or "file.py:NAME" for a class or an object in a file of yours.

    The file is run. Raises InputError where there is no such task, MissingExtra without mteb.
    """
    mteb = require("mteb", to="run its tasks", extra="mteb")
    path, _, attribute = name.rpartition(":")
    if path.endswith(".py"):
        return _task_of_file(Path(path), attribute)
    try:
        return mteb.get_task(name)
    except KeyError as error:
        raise InputError(f"mteb knows no task {shorten(name)}: {error.args[0]}") from error


def _task_of_file(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"{path}: there is no such Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if name not in vars(module):
        raise InputError(f"{path} defines no {shorten(name)}.")
    found = vars(module)[name]
    return found() if isinstance(found, type) else found


def run_task(model: MTEBReranker, task: Any, *, batch_size: int = 32) -> dict[str, Any]:
    """Evaluate. Returns what mteb writes as JSON: "scores" by split, one entry a subset, each with
    "main_score".

    Nothing is read from or written to mteb's folder of results: they are kept by the model's name
    alone, and its weights may have changed. Raises InputError for a task that no reranker can do.
    """
    mteb = require("mteb", to="run its tasks", extra="mteb")
    if task.metadata.type != "Reranking" and not task.metadata.type.endswith("Reranking"):
        raise InputError(
            f"{task.metadata.name} is a task of the kind {task.metadata.type}; a reranker needs "
            "one that names the documents to rerank."
        )
    result = mteb.evaluate(
        model,
        task,
        cache=None,
        encode_kwargs={"batch_size": batch_size},
        show_progress_bar=False,
        co2_tracker=False,
    )
    # It holds a date, which JSON has no word for.
    found: dict[str, Any] = json.loads(json.dumps(result.task_results[0].to_dict(), default=str))
    return found
