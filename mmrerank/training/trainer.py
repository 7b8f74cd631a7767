"""The trainer: transformers' Trainer on losses that call the model themselves."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader
from transformers import Trainer
from transformers.trainer import TRAINING_ARGS_NAME

from mmrerank.errors import InputError
from mmrerank.training import checkpoints, evaluating, loading, optimizing, rows, wiring
from mmrerank.training.arguments import CrossEncoderTrainingArguments, default_arguments
from mmrerank.training.callbacks import ZeroGradCallback, name_project
from mmrerank.training.cards.callback import CrossEncoderModelCardCallback
from mmrerank.training.collator import CrossEncoderDataCollator
from mmrerank.training.components import LossComponents
from mmrerank.training.given import read_arguments, read_model, read_prompts
from mmrerank.training.labels import check_labels
from mmrerank.training.leaving import leave_in_peace
from mmrerank.training.renaming import renamed

__all__ = ["RerankerTrainer"]

logger = logging.getLogger(__name__)


class RerankerTrainer(Trainer):
    """Trains a model on a dataset, or several, with a loss for all or one each.

    model, or model_init: a function that makes it, called again whenever training starts.
    train_dataset, eval_dataset: datasets.Dataset, DatasetDict or a dict of Datasets. loss: a
    module, a function of the model that makes one, or a dict of either by dataset name; by default
    BinaryCrossEntropyLoss for a model of one label, else CrossEntropyLoss. evaluator: one, or a
    list, run at every evaluation. The other arguments are those of transformers' Trainer;
    compute_metrics is not called, as losses give no outputs.

    Raises InputError for arguments that do not fit together, WrongArgument for one of a wrong type,
    MissingExtra without the extra `train`.
    """

    model: Any
    args: Any
    model_init: Any
    processing_class: Any

    model_class: ClassVar[type[Any]] = nn.Module
    model_card_callback_class: ClassVar[type[Any]] = CrossEncoderModelCardCallback
    data_collator_class: ClassVar[type[Any]] = CrossEncoderDataCollator
    training_args_class: ClassVar[type[Any]] = CrossEncoderTrainingArguments
    # The loss is a mean over the rows of a batch, whatever the model's forward accepts.
    loss_is_scaled_for_ga = False

    @renamed(tokenizer="processing_class")
    def __init__(
        self,
        model: Any = None,
        args: CrossEncoderTrainingArguments | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        loss: Any = None,
        evaluator: Any = None,
        data_collator: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., Any] | None = None,
        compute_metrics: Callable[..., Any] | None = None,
        callbacks: list[Any] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[Any], dict[str, Any]] | None = None,
        preprocess_logits_for_metrics: Callable[..., Any] | None = None,
    ) -> None:
        args = self.args = read_arguments(args, self.training_args_class)
        self.model_init = model_init
        self._model_in_losses: Any = None
        model = read_model(self, model, optimizers)
        train_dataset = rows.read_dataset(train_dataset, "train")
        eval_dataset = rows.read_dataset(eval_dataset, "eval")
        read_prompts(args, (train_dataset, eval_dataset))
        if compute_metrics is not None:
            logger.warning("compute_metrics is not called; give an evaluator for metrics")
        if eval_dataset is None and evaluator is None and args.eval_strategy != "no":
            raise InputError(
                f"eval_strategy={self.args.eval_strategy.value!r} needs an eval_dataset or an "
                "evaluator; give one, or set eval_strategy='no'."
            )
        super().__init__(
            model=model,
            args=args,
            data_collator=data_collator or self.get_data_collator(model, args, processing_class),
            train_dataset=train_dataset,
            # transformers knows no evaluators and would refuse to evaluate without a dataset.
            eval_dataset=eval_dataset if eval_dataset is not None or evaluator is None else "none",
            processing_class=processing_class or model.processor,
            compute_metrics=compute_metrics,
            callbacks=callbacks,
            optimizers=optimizers,
            optimizer_cls_and_kwargs=optimizer_cls_and_kwargs,
            preprocess_logits_for_metrics=preprocess_logits_for_metrics,
        )
        self.model_init = model_init
        self.can_return_loss = True
        self.evaluator = evaluating.as_evaluator(evaluator)
        self.loss = self._read_loss(loss, train_dataset, eval_dataset)
        self._model_in_losses = self.model
        self.eval_dataset = eval_dataset
        skip_nan = args.logging_nan_inf_filter
        self._components = {kind: LossComponents(skip_nan=skip_nan) for kind in ("train", "eval")}
        self._eval_loaders: dict[str, DataLoader[Any]] = {}
        name_project(self.callback_handler.callbacks)
        self.add_model_card_callback(default_arguments(self.training_args_class))
        self.add_callback(ZeroGradCallback())
        leave_in_peace()

    # ------------------------------------------------------------ what a subclass may replace

    def get_data_collator(self, model: Any, args: Any, processing_class: Any = None) -> Any:
        """The collator that is used when none is given."""
        return self.data_collator_class(
            preprocess_fn=model.preprocess,
            router_mapping=args.router_mapping,
            prompts=args.prompts,
        )

    def get_default_loss(self, model: Any) -> nn.Module:
        """The loss that is used when none is given."""
        from mmrerank.training.losses import BinaryCrossEntropyLoss, CrossEntropyLoss

        kind = BinaryCrossEntropyLoss if model.num_labels == 1 else CrossEntropyLoss
        logger.info("no loss was given; training with %s", kind.__name__)
        loss: nn.Module = kind(model)
        return loss

    def get_batch_sampler(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> BatchSampler:
        """The sampler of one dataset, as `args.batch_sampler` says."""
        return loading.batch_sampler_of(
            self.args.batch_sampler,
            dataset,
            batch_size=batch_size,
            drop_last=drop_last,
            valid_label_columns=valid_label_columns,
            generator=generator,
            seed=seed,
        )

    def get_multi_dataset_batch_sampler(
        self,
        dataset: ConcatDataset[Any],
        batch_samplers: Sequence[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int | None = 0,
    ) -> BatchSampler:
        """The sampler over several datasets, as `args.multi_dataset_batch_sampler` says."""
        return loading.multi_batch_sampler_of(
            self.args.multi_dataset_batch_sampler,
            dataset,
            batch_samplers=batch_samplers,
            generator=generator,
            seed=seed,
        )

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add what writes the run into the card; it is told the arguments' defaults."""
        callback = self.model_card_callback_class(default_args_dict)
        self.add_callback(callback)
        callback.on_init_end(self.args, self.state, self.control, model=self.model, trainer=self)
        card = self.model.model_card_data
        if self.args.hub_model_id and not card.model_id:
            card.set_model_id(self.args.hub_model_id)

    # ------------------------------------------------------------ loss

    def _read_loss(self, loss: Any, train_dataset: Any, eval_dataset: Any) -> Any:
        if loss is None:
            loss = self.get_default_loss(self.model)
        if not isinstance(loss, Mapping):
            return wiring.prepare_loss(loss, self.model)
        for kind, dataset in (("train", train_dataset), ("eval", eval_dataset)):
            rows.check_loss_covers(loss, dataset, kind)
        return {name: wiring.prepare_loss(part, self.model) for name, part in loss.items()}

    def _let_losses_hold(self, model: Any) -> None:
        """Gradients are averaged over processes only by what was wrapped around the model."""
        if self._model_in_losses is not model:
            for loss in self.loss.values() if isinstance(self.loss, dict) else [self.loss]:
                wiring.put_model_in(loss, model)
            self._model_in_losses = model

    def call_model_init(self, trial: Any = None) -> Any:
        """A new model, which the losses then hold."""
        model = super().call_model_init(trial)
        if self._model_in_losses is not None:
            self._let_losses_hold(model)
        return model

    def collect_features(self, inputs: dict[str, Any]) -> tuple[list[Any], Any]:
        """Columns in their order, and labels, of a batch without its other entries."""
        labels = inputs.pop("label", None)
        return list(inputs.values()), labels

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of a batch from the collator; the parts of a loss in parts are summed."""
        dataset_name = inputs.pop("dataset_name", None)
        prompt, task = inputs.pop("prompt", None), inputs.pop("task", None)
        columns, labels = self.collect_features(inputs)
        loss_fn = self.loss[dataset_name] if isinstance(self.loss, dict) else self.loss
        if model is self.model_wrapped:
            self._let_losses_hold(model)
        loss = wiring.call_loss(loss_fn, columns, labels, prompt=prompt, task=task)
        if isinstance(loss, Mapping):
            self._components["train" if self.model.training else "eval"].add(dict(loss))
            loss = torch.stack(list(loss.values())).sum()
        return (loss, {}) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the parts of the loss beside it."""
        kind = "train" if "loss" in logs else "eval" if "eval_loss" in logs else None
        if kind is not None:
            prefix = "eval_" if kind == "eval" else ""
            means = self._components[kind].pop_means(self.accelerator.gather)
            logs = {**logs, **{f"{prefix}{name}": value for name, value in means.items()}}
        super().log(logs, start_time)

    # ------------------------------------------------------------ optimizer

    def get_optimizer_cls_and_kwargs(  # type: ignore[override]  # a static method there
        self, args: Any, model: Any = None
    ) -> tuple[Any, Any]:
        """transformers' choice, for the parameters of model and losses, with rates by name."""
        parameters: Any = optimizing.named_by_loss(self.loss, self.model)
        kind, options = super().get_optimizer_cls_and_kwargs(args, parameters)
        decaying = self.get_decay_parameter_names(parameters)
        given = next((key for key in ("params", "model", "optimizer_dict") if key in options), None)
        groups = (
            optimizing.parameter_groups(parameters, decaying, args.weight_decay)
            if given is None
            else options[given]
        )
        options[given or "optimizer_dict"] = optimizing.with_rates(
            groups, parameters, decaying, args.learning_rate_mapping, args.weight_decay
        )
        return kind, options

    # ------------------------------------------------------------ data

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of the training data, this process's share of them."""
        if self.train_dataset is None:
            raise InputError("train() needs data: pass train_dataset to the trainer.")
        # Evened out, the last batch would be filled with rows of another dataset.
        self.accelerator.even_batches = False
        return self._loader(rows.name_rows(self.train_dataset), self.args.train_batch_size)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """Batches of the evaluation data; a text names one of several datasets."""
        if eval_dataset is None and self.eval_dataset is None:
            if self.evaluator is None:
                raise InputError("evaluate() needs data: pass eval_dataset or an evaluator.")
            return DataLoader(())  # type: ignore[arg-type]
        name = eval_dataset if isinstance(eval_dataset, str) else "eval"
        is_ours = eval_dataset is None or isinstance(eval_dataset, str)
        if is_ours and name in self._eval_loaders:
            return self._eval_loaders[name]
        if is_ours:
            named = rows.name_rows(self.eval_dataset)
            eval_dataset = named if eval_dataset is None else named[eval_dataset]
        loader = self.get_test_dataloader(eval_dataset)
        if is_ours and self.args.dataloader_persistent_workers:
            self._eval_loaders[name] = loader  # made anew it would leave its workers behind
        return loader

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        """Batches of a dataset, for evaluation."""
        # Uneven, processes would wait for each other for ever.
        self.accelerator.even_batches = True
        return self._loader(test_dataset, self.args.eval_batch_size)

    def _loader(self, dataset: Any, batch_size: int) -> DataLoader[Any]:
        loader: DataLoader[Any] = self.accelerator.prepare(
            loading.make_loader(
                dataset,
                batch_size=batch_size,
                args=self.args,
                collator=self.data_collator,
                sampler_of=self.get_batch_sampler,
                multi_sampler_of=self.get_multi_dataset_batch_sampler,
            )
        )
        return loader

    # ------------------------------------------------------------ evaluation

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """The loss on the evaluation data, and what the evaluator finds."""
        if eval_dataset is not None and not isinstance(eval_dataset, str):
            eval_dataset = rows.name_rows(rows.read_dataset(eval_dataset, "eval"))
        return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> Any:
        """The loss over a loader, then the evaluator's metrics, under the same prefix."""
        output: Any = super().evaluation_loop(
            dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
        )
        prefix = evaluating.prefix_of_evaluator(
            metric_key_prefix, self.eval_dataset if self.is_in_train else None
        )
        if self.evaluator is not None and prefix is not None:
            output.metrics.update(evaluating.metrics_of(self, prefix))
        return output

    # ------------------------------------------------------------ checkpoints

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> Any:
        """Train, or go on from a checkpoint; True means the newest complete one of output_dir.

        Raises InputError, before the first step, for labels that the loss cannot learn from.
        """
        for name in ("train_dataset", "eval_dataset"):
            if vars(self)[name] is not None:
                check_labels(self.loss, vars(self)[name], name=name)
        self.model.train_packed = self.args.packed
        self.model.calibration = None  # it belongs to the weights that it was fitted on
        if resume_from_checkpoint is True:
            resume_from_checkpoint = checkpoints.newest_complete(self.args.output_dir)
        return super().train(resume_from_checkpoint, trial, ignore_keys_for_eval)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Write the form that the model's class loads, and the training arguments beside it."""
        folder = output_dir if output_dir is not None else self.args.output_dir
        os.makedirs(folder, exist_ok=True)
        self.model.save_pretrained(folder)
        if self.processing_class is not None and self.processing_class is not self.model.processor:
            self.processing_class.save_pretrained(folder)
        torch.save(self.args, os.path.join(folder, TRAINING_ARGS_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoints.load_weights(wiring.unwrapped(model or self.model), resume_from_checkpoint)

    def _load_best_model(self) -> None:
        path = str(self.state.best_model_checkpoint)
        logger.info("loading the best model from %s (score %s)", path, self.state.best_metric)
        try:
            self._load_from_checkpoint(path)
            self.model.model_card_data.set_best_model_step(self.state.best_global_step)
        except Exception as error:  # hours of training end here: the last weights are worth more
            logger.error("the best model in %s cannot be loaded: %s", path, error)

    def create_model_card(  # type: ignore[override]
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Save the model again, with a card that says this too; other arguments have no effect."""
        card = self.model.model_card_data
        if language:
            card.set_language(language)
        if license:
            card.set_license(license)
        card.add_tags(tags or [])
        card.model_name = model_name or card.model_name
        self.save_model(_internal_call=True)
