"""Results of evaluators: as the hub's model-index and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index

from mmrerank.training.cards.markdown import plain, table

__all__ = ["EvaluationRecord", "evaluation_section", "metric_names", "model_index", "record_of"]


class _Evaluator(Protocol):
    name: str
    primary_metric: Any

    @property
    def description(self) -> str: ...


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """What one evaluator found last. metrics: without the evaluator's name in front."""

    kind: str
    description: str
    name: str
    metrics: Mapping[str, Any]
    primary: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """A later record of equal key takes the place of this one."""
        return self.kind, self.name


def record_of(evaluator: _Evaluator, metrics: Mapping[str, Any]) -> EvaluationRecord:
    """The results of an evaluator, without holding on to its data."""
    name = evaluator.name or ""
    prefix = f"{name}_" if name and all(key.startswith(f"{name}_") for key in metrics) else ""
    primary = evaluator.primary_metric
    return EvaluationRecord(
        kind=type(evaluator).__name__,
        description=evaluator.description,
        name=name,
        metrics={key.removeprefix(prefix): _python(value) for key, value in metrics.items()},
        primary=primary.removeprefix(prefix) if isinstance(primary, str) else None,
    )


def _python(value: Any) -> Any:
    """numpy's and torch's numbers as Python's, which YAML can write."""
    return value if isinstance(value, (str, bool, int, float)) else float(value)


def metric_names(records: Sequence[EvaluationRecord]) -> list[str]:
    """Names of all metrics, each once."""
    return list(dict.fromkeys(name for record in records for name in record.metrics))


def model_index(records: Sequence[EvaluationRecord], model_name: str) -> list[dict[str, Any]]:
    """The results as the hub reads them."""
    results = [
        EvalResult(
            task_name=record.description,
            task_type=record.description.lower().replace(" ", "-"),
            dataset_type=record.name or "unknown",
            dataset_name=record.name.replace("_", " ").replace("-", " ") or "Unknown",
            metric_name=name.replace("_", " ").title(),
            metric_type=name,
            metric_value=number,
        )
        for record in records
        for name, value in record.metrics.items()
        if (number := _number(value)) is not None
    ]
    return list(eval_results_to_model_index(model_name, results)) if results else []


def _number(value: Any) -> float | None:
    """The number of a metric; of "0.5000 (+0.1000)" the first."""
    try:
        return float(value.split()[0] if isinstance(value, str) else value)
    except (ValueError, IndexError):
        return None


def evaluation_section(records: Sequence[EvaluationRecord]) -> str:
    """One table an evaluator; the metric that counts is bold."""
    parts = ["## Evaluation"]
    for record in records:
        rows = []
        for name, value in record.metrics.items():
            mark = "**" if name == record.primary else ""
            shown = f"{value:.4f}" if isinstance(value, float) else plain(value)
            rows.append({"Metric": f"{mark}{plain(name)}{mark}", "Value": f"{mark}{shown}{mark}"})
        title = plain(record.description) + (f": {plain(record.name)}" if record.name else "")
        parts.append(f"### {title}\n\nBy `{record.kind}`.\n\n{table(rows)}")
    return "\n\n".join(parts)
