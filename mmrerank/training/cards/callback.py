"""The trainer's callback that gathers what the card tells."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sized
from typing import Any

from transformers import TrainerCallback

from mmrerank.training.cards.citations import parts_of_loss
from mmrerank.training.cards.data import CrossEncoderModelCardData
from mmrerank.training.cards.datasets import DatasetSummary, summary_of
from mmrerank.training.cards.logs import add_to_log
from mmrerank.training.cards.values import kind_of

__all__ = ["CrossEncoderModelCardCallback"]

logger = logging.getLogger(__name__)

# Paths, secrets, and what says nothing about the weights.
_UNTOLD = {
    *("output_dir", "logging_dir", "run_name", "project", "hub_token", "push_to_hub_token"),
    *("logging_strategy", "logging_first_step", "logging_steps", "report_to", "disable_tqdm"),
    *("eval_strategy", "eval_steps", "eval_delay", "save_strategy", "save_steps"),
    *("save_total_limit", "metric_for_best_model", "greater_is_better", "do_train", "do_eval"),
    *("do_predict", "resume_from_checkpoint", "deepspeed", "trackio_space_id"),
}
_NUM_EXAMPLES = 5


class CrossEncoderModelCardCallback(TrainerCallback):
    """Records datasets, losses, hyperparameters, logs and times in `model.model_card_data`.

    default_args_dict: the arguments as they are when none is given, to tell which were changed;
    None asks the class of the arguments itself.
    """

    def __init__(self, default_args_dict: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.default_args_dict = default_args_dict
        self._started_s: float | None = None

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at datasets and losses; without a trainer there are none to look at."""
        model, trainer = kwargs["model"], kwargs.get("trainer")
        data = _data_of(model)
        data.add_tags("generated_from_trainer")
        data.register_model(model)
        if trainer is None:
            return
        data.train_summaries = _summaries(
            trainer.train_dataset, trainer.loss, model.tokenizer, data.train_datasets
        )
        data.eval_summaries = _summaries(
            trainer.eval_dataset, trainer.loss, model.tokenizer, data.eval_datasets
        )
        if size := sum(summary.size or 0 for summary in data.train_summaries):
            data.add_tags(f"dataset_size:{size}")
        data.set_losses(parts_of_loss(trainer.loss))
        if data.generate_widget_examples and not data.usage_examples:
            data.usage_examples = _examples(trainer.eval_dataset or trainer.train_dataset)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take down the arguments, and the time."""
        data = _data_of(kwargs["model"])
        usual = self.default_args_dict
        if usual is None:
            usual = type(args)(output_dir=args.output_dir).to_dict()
        told = {name: value for name, value in args.to_dict().items() if name not in _UNTOLD}
        data.all_hyperparameters = told
        data.non_default_hyperparameters = {
            name: value for name, value in told.items() if name in usual and value != usual[name]
        }
        self._started_s = time.monotonic()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Validation losses of this step."""
        losses = {
            name.removeprefix("eval_"): value
            for name, value in (kwargs.get("metrics") or {}).items()
            if name.startswith("eval_") and name.endswith("loss")
        }
        if list(losses) == ["loss"]:
            losses = {"Validation Loss": losses["loss"]}
        if losses:
            named = {name.replace("_", " "): value for name, value in losses.items()}
            rows = _data_of(kwargs["model"]).training_logs
            add_to_log(rows, state.epoch or 0, state.global_step, named)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The training loss, and how long the run has taken so far."""
        data, logs = _data_of(kwargs["model"]), kwargs.get("logs") or {}
        if self._started_s is not None:
            data.training_s = time.monotonic() - self._started_s
        if "loss" in logs:
            told = {"Training Loss": float(logs["loss"])}
            add_to_log(data.training_logs, state.epoch or 0, state.global_step, told)


def _data_of(model: Any) -> CrossEncoderModelCardData:
    """The card data of a model, which is made where there is none; a wrapper is looked through."""
    inner = getattr(model, "module", model)  # DistributedDataParallel's name for what it holds
    if inner.model_card_data is None:
        inner.model_card_data = CrossEncoderModelCardData()
    data: CrossEncoderModelCardData = inner.model_card_data
    return data


def _named(dataset: Any) -> dict[str | None, Any]:
    """Datasets by name; one alone has none. transformers may hold "none" for no dataset."""
    if dataset is None or isinstance(dataset, str):
        return {}
    return dict(dataset) if isinstance(dataset, dict) else {None: dataset}


def _summaries(
    dataset: Any, loss: Any, tokenizer: Any, given: list[dict[str, Any]]
) -> list[DatasetSummary]:
    """One a dataset, with what the user said of it."""
    named = _named(dataset)
    if given and len(given) != len(named):
        logger.warning(
            "the card data name %d datasets and there are %d; those names are left out",
            len(given),
            len(named),
        )
        given.clear()
    told: list[dict[str, Any]] = given or [{} for _ in named]
    return [
        summary_of(
            part,
            loss[name] if isinstance(loss, dict) else loss,
            tokenizer,
            name=entry.get("name") or entry.get("id") or name,
            id=entry.get("id"),
        )
        for (name, part), entry in zip(named.items(), told, strict=True)
    ]


def _examples(dataset: Any) -> list[tuple[str, str]]:
    """Pairs of texts of the first rows; none where rows hold media, or a stream would be used up.

    A row with a list of documents gives pairs of its query with each.
    """
    part: Any = next(iter(_named(dataset).values()), None)
    num_rows = len(part) if isinstance(part, Sized) else 0
    try:
        rows = [part[place] for place in range(min(_NUM_EXAMPLES, num_rows))]
    except Exception:  # somebody's transform or a broken file: training says it better
        return []
    found: list[tuple[str, str]] = []
    for row in rows:
        sides = [value for name, value in row.items() if name not in ("dataset_name", "label")]
        if len(sides) < 2:
            return []
        documents = sides[1] if isinstance(sides[1], list) else [sides[1]]
        found += [(sides[0], document) for document in documents]
    pairs = found[:_NUM_EXAMPLES]
    return pairs if all(kind_of(side) == "text" for pair in pairs for side in pair) else []
