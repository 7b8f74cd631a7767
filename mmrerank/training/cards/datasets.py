"""A dataset in numbers: columns, lengths, shares of labels, a few rows."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from typing import Any

from mmrerank.heads import activation_name
from mmrerank.inputs.recognise import decoder_modality, is_pil_image
from mmrerank.training.cards.markdown import code, plain, table
from mmrerank.training.cards.values import kind_of, shown_value

__all__ = ["DatasetSummary", "dataset_section", "loss_config", "summary_of"]

logger = logging.getLogger(__name__)

_MAX_ROWS = 100
_MAX_MEDIA_ROWS = 8  # each is decoded to be looked at
_NUM_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """size: in rows, None for a stream. columns: name → facts by name. samples: as shown."""

    name: str | None = None
    id: str | None = None
    size: int | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    samples: Sequence[Mapping[str, str]] = ()
    loss: str | None = None
    loss_config: str | None = None


def summary_of(
    dataset: Any, loss: Any, tokenizer: Any, *, name: str | None = None, id: str | None = None
) -> DatasetSummary:
    """Look at the first rows of a dataset. A stream is not read: its rows would be gone."""
    summary = DatasetSummary(
        name=name, id=id, loss=type(loss).__name__, loss_config=loss_config(loss)
    )
    if not isinstance(dataset, Sized):
        return replace(summary, columns={column: {} for column in dataset.column_names or ()})
    summary = replace(summary, size=len(dataset))
    if len(dataset) == 0:
        return summary
    try:
        columns, samples = _look_at(dataset, tokenizer)
    except Exception as error:  # somebody's transform or a broken file: training says it better
        logger.warning("the model card goes without the dataset's rows: %s", error)
        return summary
    return replace(summary, columns=columns, samples=samples)


def _look_at(
    dataset: Any, tokenizer: Any
) -> tuple[dict[str, dict[str, str]], list[dict[str, str]]]:
    """Facts by column, and samples."""
    samples = dataset[:_NUM_SAMPLES]
    names = [column for column in samples if column != "dataset_name"]
    shown = [
        {column: shown_value(samples[column][row]) for column in names}
        for row in range(min(_NUM_SAMPLES, len(dataset)))
    ]
    return {column: _facts(dataset, column, tokenizer) for column in names}, shown


def loss_config(loss: Any) -> str | None:
    """A loss's settings as JSON, None where it tells none."""
    tell = getattr(loss, "get_config_dict", None)  # losses of users need not have it
    config = tell() if callable(tell) else None
    return json.dumps(config, indent=2, default=_setting) if config else None


def _setting(value: Any) -> str:
    return activation_name(value) if callable(value) else type(value).__name__


# ------------------------------------------------------------ columns


def _facts(dataset: Any, column: str, tokenizer: Any) -> dict[str, str]:
    """Kind of a column and its measures."""
    values = list(dataset[: min(_MAX_MEDIA_ROWS, len(dataset))][column])
    kinds = list(dict.fromkeys(kind_of(value) for value in values))
    facts = {"kind": " or ".join(kinds[:4]) + (" …" if len(kinds) > 4 else "")}
    if all(isinstance(v, (str, int, float, list)) for v in values) and kinds != ["image"]:
        # Cheap to hold: nothing is decoded to look at more of them.
        values = list(dataset[: min(_MAX_ROWS, len(dataset))][column])
    return facts | _measures(values, kinds, tokenizer)


def _measures(values: list[Any], kinds: Sequence[str], tokenizer: Any) -> dict[str, str]:
    if all(isinstance(value, (bool, int)) for value in values):
        shares = sorted(Counter(values).items())[:10]
        return {str(value): f"{count / len(values):.1%}" for value, count in shares}
    if all(isinstance(value, (int, float)) for value in values):
        return _spread(values, "", digits=2)
    if all(isinstance(value, str) for value in values) and kinds == ["text"]:
        ids = tokenizer([value[:100_000] for value in values], truncation=False)["input_ids"]
        return _spread([len(row) for row in ids], " tokens")
    if all(isinstance(value, list) for value in values):
        return _spread([len(value) for value in values], " elements")
    if all(is_pil_image(value) for value in values):
        return {
            "width": _range([value.width for value in values], " px"),
            "height": _range([value.height for value in values], " px"),
        }
    if all(decoder_modality(value) is not None for value in values):
        seconds = [value.metadata.duration_seconds for value in values]
        return _spread([s for s in seconds if s is not None], " s", digits=1)
    return {}


def _spread(numbers: Sequence[float], unit: str, *, digits: int = 0) -> dict[str, str]:
    if not numbers:
        return {}
    mean = sum(numbers) / len(numbers)
    return {
        "min": f"{min(numbers):.{digits}f}{unit}",
        "mean": f"{mean:.{max(digits, 1)}f}{unit}",
        "max": f"{max(numbers):.{digits}f}{unit}",
    }


def _range(numbers: Sequence[int], unit: str) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


# ------------------------------------------------------------ text


def dataset_section(summary: DatasetSummary, kind: str) -> str:
    """kind: "training" or "evaluation"."""
    lines = [f"#### {plain(summary.name or 'Unnamed dataset')}", ""]
    if summary.id:
        lines.append(f"* Dataset: `{plain(summary.id)}`")
    if summary.size is not None:
        lines.append(f"* Size: {summary.size:,} {kind} samples")
    if summary.columns:
        lines.append(f"* Columns: {', '.join(code(name) for name in summary.columns)}")
    body = "\n".join(lines)
    if any(summary.columns.values()):
        rows = [
            {"column": code(name), "kind": plain(facts.get("kind", "-")), "values": _listed(facts)}
            for name, facts in summary.columns.items()
        ]
        seen = min(summary.size or 0, _MAX_ROWS)
        body += f"\n* Statistics of the first samples (at most {seen}):\n\n{table(rows)}"
    if summary.samples:
        cells = [{code(n): code(v) for n, v in sample.items()} for sample in summary.samples]
        body += f"\n\nSamples:\n\n{table(cells)}"
    if summary.loss:
        body += f"\n\nLoss: `{plain(summary.loss)}`"
        if summary.loss_config:
            body += f" with\n\n```json\n{summary.loss_config}\n```"
    return body


def _listed(facts: Mapping[str, str]) -> str:
    told = [f"{plain(name)}: {plain(value)}" for name, value in facts.items() if name != "kind"]
    return "<br>".join(told) or "-"
