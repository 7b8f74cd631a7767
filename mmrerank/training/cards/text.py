"""README.md of a saved model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmrerank.training.cards.data import CrossEncoderModelCardData
from mmrerank.training.cards.datasets import DatasetSummary, dataset_section
from mmrerank.training.cards.front import front_matter
from mmrerank.training.cards.logs import logs_section
from mmrerank.training.cards.markdown import folded, plain, table
from mmrerank.training.cards.metrics import evaluation_section

__all__ = ["CardFacts", "card_text"]

_EXAMPLES = (("a query", "a document"),)
_MAX_EXAMPLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the model itself tells. facts: rows of the first table. scores: of the usage examples,
    as they are printed. versions: of libraries, by name.
    """

    facts: Mapping[str, str]
    versions: Mapping[str, str]
    scores: str | None = None
    takes_media: Sequence[str] = field(default=())


def card_text(data: CrossEncoderModelCardData, facts: CardFacts, name: str) -> str:
    """The whole card. name: what users pass to CrossEncoder(...)."""
    sections = [
        f"---\n{front_matter(data, name)}\n---",
        _introduction(data, facts, name),
        _usage(data, facts, data.model_id or name),
    ]
    if data.evaluations:
        sections.append(evaluation_section(data.evaluations))
    sections += _training(data)
    sections.append(_versions(facts.versions))
    if data.citations:
        entries = [f"### {plain(k)}\n\n```bibtex\n{v}\n```" for k, v in data.citations.items()]
        sections.append("\n\n".join(["## Citation", *entries]))
    return "\n\n".join(sections) + "\n"


def _introduction(data: CrossEncoderModelCardData, facts: CardFacts, name: str) -> str:
    rows = dict(facts.facts)
    if data.base_model:
        at = f" at {plain(data.base_model_revision)}" if data.base_model_revision else ""
        rows["Trained from"] = f"`{plain(data.base_model)}`{at}"
    if data.language:
        rows["Language"] = plain(", ".join(data.language))
    if data.license:
        rows["Licence"] = plain(data.license)
    about = "A reranker: it reads a query and a document together and scores how well they match."
    if data.task_name:
        about += f" Made for {plain(data.task_name)}."
    body = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"# {plain(data.model_name or name)}\n\n{about}\n\n| | |\n|---|---|\n{body}"


# ------------------------------------------------------------ usage


def _usage(data: CrossEncoderModelCardData, facts: CardFacts, name: str) -> str:
    pairs = data.usage_examples or list(_EXAMPLES)
    lines = ["from mmrerank import CrossEncoder", "", f"model = CrossEncoder({json.dumps(name)})"]
    if len(pairs) == 1:
        lines.append(f"model.predict([{_pair(pairs[0])}])")
    else:
        lines += ["pairs = [", *(f"    {_pair(pair)}," for pair in pairs), "]"]
        lines.append("print(model.predict(pairs))")
    lines += [f"# {line}" for line in (facts.scores or "").splitlines()]
    if facts.takes_media:
        kind = facts.takes_media[0]
        lines += ["", f'model.predict([("a query", {{"{kind}": "path/or/url"}})])']
    code = "\n".join(lines)
    return (
        f"## Usage\n\n```bash\npip install mmrerank\n```\n\n```python\n{code}\n```\n\n"
        "sentence-transformers loads it too: `from sentence_transformers import CrossEncoder`."
    )


def _pair(pair: Sequence[str]) -> str:
    # repr keeps line breaks inside its quotes, so no text of the data can end the block.
    return f"({', '.join(repr(text[:_MAX_EXAMPLE_CHARS]) for text in pair)})"


# ------------------------------------------------------------ training


def _training(data: CrossEncoderModelCardData) -> list[str]:
    sections = []
    for kind, summaries, given in (
        ("training", data.train_summaries, data.train_datasets),
        ("evaluation", data.eval_summaries, data.eval_datasets),
    ):
        shown = summaries or [
            DatasetSummary(name=entry.get("name") or entry.get("id"), id=entry.get("id"))
            for entry in given
        ]
        if shown:
            parts = [dataset_section(summary, kind) for summary in shown]
            plural = "s" if len(shown) > 1 else ""
            sections.append("\n\n".join([f"### {kind.title()} Dataset{plural}", *parts]))
    if data.all_hyperparameters:
        sections.append(_hyperparameters(data))
    if data.training_logs:
        sections.append(logs_section(data.training_logs, data.best_model_step))
    if data.training_s is not None:
        sections.append(f"Training took {_duration(data.training_s)}.")
    return ["## Training", *sections] if sections else []


def _hyperparameters(data: CrossEncoderModelCardData) -> str:
    changed = _listed(data.non_default_hyperparameters) or "None differs from its default."
    every = folded("All hyperparameters", _listed(data.all_hyperparameters))
    return f"### Hyperparameters\n\nOther than the defaults:\n\n{changed}\n\n{every}"


def _listed(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- `{name}`: {plain(value)}" for name, value in values.items())


def _duration(seconds: float) -> str:
    for unit, length_s in (("hours", 3600), ("minutes", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.1f} {unit}"
    return f"{seconds:.1f} seconds"


def _versions(versions: Mapping[str, str]) -> str:
    rows = [{"": plain(name), "version": plain(number)} for name, number in versions.items()]
    return f"## Framework Versions\n\n{table(rows)}"
