"""CrossEncoderModelCardData: what is known of a model beside its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmrerank.errors import shorten
from mmrerank.training.cards.citations import citations_of
from mmrerank.training.cards.datasets import DatasetSummary
from mmrerank.training.cards.logs import LogRow, add_to_log
from mmrerank.training.cards.metrics import EvaluationRecord, record_of

__all__ = ["CrossEncoderModelCardData"]

logger = logging.getLogger(__name__)

_TAGS = ("sentence-transformers", "cross-encoder", "reranker")


@dataclass
class CrossEncoderModelCardData:
    """What a model card tells; the trainer adds the course of the run.

    language: codes such as "en". license: as the hub writes it, "apache-2.0". model_name: title of
    the card. model_id: "owner/name" on the hub. train_datasets, eval_datasets: dicts with name, id
    or both. task_name: what the model is for, in words. local_files_only: accepted as the peer's;
    nothing is looked up on the hub in any case. generate_widget_examples: whether the usage example
    shows scores of rows of the data.
    """

    language: str | list[str] | None = field(default_factory=list)
    license: str | None = None
    model_name: str | None = None
    model_id: str | None = None
    train_datasets: list[dict[str, Any]] = field(default_factory=list)
    eval_datasets: list[dict[str, Any]] = field(default_factory=list)
    task_name: str | None = None
    tags: list[str] = field(default_factory=lambda: list(_TAGS))
    local_files_only: bool = False
    generate_widget_examples: bool = True

    pipeline_tag: str | None = field(default=None, init=False)
    base_model: str | None = field(default=None, init=False)
    base_model_revision: str | None = field(default=None, init=False)
    train_summaries: list[DatasetSummary] = field(default_factory=list, init=False, repr=False)
    eval_summaries: list[DatasetSummary] = field(default_factory=list, init=False, repr=False)
    all_hyperparameters: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    non_default_hyperparameters: dict[str, Any] = field(default_factory=dict, init=False)
    evaluations: list[EvaluationRecord] = field(default_factory=list, init=False, repr=False)
    training_logs: list[LogRow] = field(default_factory=list, init=False, repr=False)
    best_model_step: int | None = field(default=None, init=False)
    citations: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    usage_examples: list[tuple[str, str]] = field(default_factory=list, init=False, repr=False)
    training_s: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.set_language(self.language or [])
        self.train_datasets = [dict(entry) for entry in self.train_datasets]
        self.eval_datasets = [dict(entry) for entry in self.eval_datasets]
        self.tags = list(self.tags)
        if self.model_id and self.model_id.count("/") != 1:
            logger.warning(
                "model_id=%s is left out of the card: it must be owner/name",
                shorten(self.model_id),
            )
            self.model_id = None

    @property
    def is_trained(self) -> bool:
        """Whether a trainer has had the model."""
        return bool(self.train_summaries or self.training_logs or self.citations)

    @property
    def dataset_ids(self) -> list[str]:
        """Ids on the hub of all datasets that have one."""
        named = [*self.train_datasets, *self.eval_datasets]
        return list(dict.fromkeys(entry["id"] for entry in named if entry.get("id")))

    def set_model_id(self, model_id: str) -> None:
        """Where the model is on the hub."""
        self.model_id = model_id

    def set_base_model(self, model_id: str, revision: str | None = None) -> bool:
        """What the model was trained from. Returns True: nothing is looked up."""
        self.base_model, self.base_model_revision = model_id, revision
        return True

    def set_language(self, language: str | Sequence[str]) -> None:
        """One language or several."""
        self.language = [language] if isinstance(language, str) else list(language)

    def set_license(self, license: str) -> None:
        """The licence, as the hub writes it."""
        self.license = license

    def add_tags(self, tags: str | Sequence[str]) -> None:
        """Tags that are not there yet."""
        given = [tags] if isinstance(tags, str) else tags
        self.tags += [tag for tag in dict.fromkeys(given) if tag not in self.tags]

    def set_losses(self, losses: Sequence[Any]) -> None:
        """Tags and citations of the losses."""
        self.citations = citations_of(losses)
        self.add_tags([f"loss:{type(loss).__name__}" for loss in losses])

    def set_best_model_step(self, step: int) -> None:
        """The step whose weights were kept."""
        self.best_model_step = step

    def register_model(self, model: Any) -> None:
        """Take over what depends on the number of labels."""
        is_ranker = model.num_labels == 1
        self.pipeline_tag = self.pipeline_tag or (
            "text-ranking" if is_ranker else "text-classification"
        )
        self.task_name = self.task_name or (
            "reranking and semantic search" if is_ranker else "classification of pairs"
        )

    def set_evaluation_metrics(
        self, evaluator: Any, metrics: Mapping[str, Any], epoch: float = 0, step: int = 0
    ) -> None:
        """Record what an evaluator found; its main metric goes into the training logs too."""
        record = record_of(evaluator, metrics)
        self.evaluations = [kept for kept in self.evaluations if kept.key != record.key]
        self.evaluations.append(record)
        primary = evaluator.primary_metric
        wanted = [primary] if isinstance(primary, str) else list(primary or ())
        found = {name: metrics[name] for name in wanted if name in metrics}
        if found:
            add_to_log(self.training_logs, epoch, step, found)
