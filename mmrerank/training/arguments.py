"""Options of a training run: those of transformers, and the peer's five more."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Union

from transformers import TrainingArguments
from transformers.training_args import ParallelMode

from mmrerank.errors import InputError, shorten
from mmrerank.extras import require
from mmrerank.training.samplers import (
    BatchSamplers,
    DefaultBatchSampler,
    MultiDatasetBatchSamplers,
    MultiDatasetDefaultBatchSampler,
)

__all__ = ["CrossEncoderTrainingArguments", "default_arguments"]

logger = logging.getLogger(__name__)

# Of arguments made only to be compared with: they train nothing, so nothing is announced.
_UNUSED_DIR = "unused"

# typing.Union and not "|": transformers' command line parser reads these hints.
Prompts = Union[str, None, dict[str, str], dict[str, dict[str, str]]]  # noqa: UP007
Routes = Union[str, None, dict[str, str], dict[str, dict[str, str]]]  # noqa: UP007
Rates = Union[str, None, dict[str, float]]  # noqa: UP007
Sampler = Union[  # noqa: UP007
    BatchSamplers, str, DefaultBatchSampler, Callable[..., DefaultBatchSampler]
]
MultiSampler = Union[  # noqa: UP007
    MultiDatasetBatchSamplers,
    str,
    MultiDatasetDefaultBatchSampler,
    Callable[..., MultiDatasetDefaultBatchSampler],
]


@dataclass
class CrossEncoderTrainingArguments(TrainingArguments):
    """transformers' TrainingArguments and:

    prompts: the instruction of every pair, or {dataset name: instruction}.
    batch_sampler: a name of BatchSamplers, a subclass of DefaultBatchSampler, or a function of its
    arguments. multi_dataset_batch_sampler: the same for several datasets.
    router_mapping: {dataset name: task}, handed to the loss.
    learning_rate_mapping: {regular expression of parameter names: learning rate}.
    packed: rows without padding, in which beginnings and media that pairs of a batch share are
    computed once, for architectures that were shown to give equal scores so; False pads as the peer
    does.
    warmup_ratio: old form of warmup_steps with a number below 1.

    A dict may be given as JSON text, as from a command line.
    Raises InputError for an unknown sampler or a text that is no JSON object, MissingExtra without
    the extra `train`.
    """

    prompts: Prompts = field(
        default=None, metadata={"help": "Instruction of all pairs, or one a dataset."}
    )
    batch_sampler: Sampler = field(
        default=BatchSamplers.BATCH_SAMPLER, metadata={"help": "Which rows make a batch."}
    )
    multi_dataset_batch_sampler: MultiSampler = field(
        default=MultiDatasetBatchSamplers.PROPORTIONAL,
        metadata={"help": "Which dataset the next batch comes from."},
    )
    router_mapping: Routes = field(
        default_factory=dict, metadata={"help": "Task of each dataset, handed to the loss."}
    )
    learning_rate_mapping: Rates = field(
        default_factory=dict,
        metadata={"help": "Learning rate by regular expression of parameter names."},
    )
    packed: bool = field(
        default=True,
        metadata={"help": "Rows without padding, shared beginnings and media once, where it can."},
    )
    warmup_ratio: float | None = field(
        default=None, metadata={"help": "Deprecated: warmup_steps takes a ratio too."}
    )

    def __post_init__(self) -> None:
        for name in ("accelerate", "datasets"):
            require(name, to="train a model")
        if self.warmup_ratio is not None and self.warmup_steps == 0:
            logger.warning("warmup_ratio is deprecated; give the ratio as warmup_steps")
            self.warmup_steps, self.warmup_ratio = self.warmup_ratio, None
        if isinstance(self.prompts, str):
            self.prompts = _json_object(self.prompts) or self.prompts
        self.learning_rate_mapping = _mapping("learning_rate_mapping", self.learning_rate_mapping)
        self.router_mapping = _mapping("router_mapping", self.router_mapping)
        self._read_samplers()
        super().__post_init__()  # type: ignore[no-untyped-call]
        # Losses give no outputs to keep.
        self.prediction_loss_only = True
        # Sent before each forward pass they would change what the pass before needs for gradients.
        self.ddp_broadcast_buffers = False
        if self.parallel_mode == ParallelMode.DISTRIBUTED and not self.dataloader_drop_last:
            self._announce("dataloader_drop_last=True is set: an uneven last batch can hang")
            self.dataloader_drop_last = True
        self._announce_slow_choices()

    def to_dict(self) -> dict[str, Any]:
        """Plain values; samplers that are classes or functions are left out."""
        values: dict[str, Any] = super().to_dict()  # type: ignore[no-untyped-call]
        for name in ("batch_sampler", "multi_dataset_batch_sampler"):
            if callable(values[name]):
                del values[name]
        return values

    def _read_samplers(self) -> None:
        if isinstance(self.batch_sampler, str):
            self.batch_sampler = _named(BatchSamplers, "batch_sampler", self.batch_sampler)
        if isinstance(self.multi_dataset_batch_sampler, str):
            self.multi_dataset_batch_sampler = _named(
                MultiDatasetBatchSamplers,
                "multi_dataset_batch_sampler",
                self.multi_dataset_batch_sampler,
            )

    def _announce_slow_choices(self) -> None:
        if self.parallel_mode == ParallelMode.NOT_DISTRIBUTED:
            self._announce(
                "several GPUs in one process are slow; start one process each: accelerate launch"
            )
        if (
            self.dataloader_num_workers > 0
            and not self.dataloader_persistent_workers
            and _workers_import_everything()
        ):
            self._announce(
                "each loading process imports torch anew for every epoch and evaluation; set "
                "dataloader_persistent_workers=True"
            )

    def _announce(self, text: str) -> None:
        if self.output_dir != _UNUSED_DIR:
            logger.warning(text)


def default_arguments(kind: type[CrossEncoderTrainingArguments]) -> dict[str, Any]:
    """The arguments as they are when none is given, to tell which of a run's were changed.

    Only once other arguments have been made: the state of the processes is left as they set it.
    """
    made = kind(output_dir=_UNUSED_DIR, accelerator_config={"use_configured_state": True})
    return made.to_dict()


def _named(kind: Any, argument: str, name: str) -> Any:
    try:
        return kind(name)
    except ValueError as error:
        known = ", ".join(repr(member.value) for member in kind)
        raise InputError(f"{argument}={shorten(name)}: allowed are {known}") from error


def _mapping(argument: str, value: Any) -> dict[str, Any]:
    """The dict of an argument, {} for None. Raises InputError for anything else."""
    found = _json_object(value) if isinstance(value, str) else {} if value is None else value
    if not isinstance(found, dict):
        raise InputError(f"{argument}={shorten(value)}: must be a dict, or one as JSON text")
    return found


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _workers_import_everything() -> bool:
    """Whether loading processes start empty; asks without fixing how processes start."""
    method = multiprocessing.get_start_method(allow_none=True)
    return (method or multiprocessing.get_all_start_methods()[0]) == "spawn"
