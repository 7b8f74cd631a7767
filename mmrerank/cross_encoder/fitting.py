"""`fit`: training from before the trainer, with examples in a torch DataLoader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader

from mmrerank.errors import InputError, shorten
from mmrerank.extras import require
from mmrerank.training.scoring import pair_logits

__all__ = ["fit", "old_fit", "smart_batching_collate", "smart_batching_collate_text_only"]

_NO_DECAY = ("bias", "LayerNorm.bias", "LayerNorm.weight")
_NO_ACTIVATION = nn.Identity()


def fit(
    self: Any,
    train_dataloader: DataLoader[Any],
    evaluator: Any = None,
    epochs: int = 1,
    loss_fct: nn.Module | None = None,
    activation_fct: Callable[[Tensor], Tensor] = _NO_ACTIVATION,
    scheduler: str | Any = "WarmupLinear",
    warmup_steps: int = 10000,
    optimizer_class: type[Optimizer] = AdamW,
    optimizer_params: dict[str, object] | None = None,
    weight_decay: float = 0.01,
    evaluation_steps: int = 0,
    output_path: str | None = None,
    save_best_model: bool = True,
    max_grad_norm: float = 1,
    use_amp: bool = False,
    callback: Callable[[float, int, int], None] | None = None,
    show_progress_bar: bool = True,
) -> None:
    """Train on InputExamples. Deprecated, as in the peer: CrossEncoderTrainer does more.

    loss_fct: called with logits and labels; by default BinaryCrossEntropyLoss for one label,
    CrossEntropyLoss for several. scheduler: constantlr, warmupconstant, warmuplinear, warmupcosine,
    warmupcosinewithhardrestarts, or one of torch. optimizer_params: {"lr": 2e-5} by default.
    evaluator: run when an epoch ends, and every `evaluation_steps` steps if that is above 0; the
    best model so far is saved in output_path. callback: called with score, epoch and steps after
    each evaluation.

    Raises InputError for an unknown scheduler or a loader without examples, MissingExtra without
    the extra `train`.
    """
    for name in ("accelerate", "datasets"):
        require(name, to="train a model")
    from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
    from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments
    from mmrerank.training.callbacks import (
        EvaluatorCallback,
        OriginalCallback,
        SaveModelCallback,
    )

    batch_size = train_dataloader.batch_size or 8
    dataset = _as_dataset(train_dataloader)
    optimizer = optimizer_class(
        _parameter_groups(self, weight_decay),
        **({"lr": 2e-5} if optimizer_params is None else optimizer_params),
    )
    if isinstance(scheduler, str):
        num_steps = len(dataset) // batch_size * epochs
        scheduler = _scheduler(optimizer, scheduler, warmup_steps, num_steps)
    callbacks: list[Any] = []
    if evaluator is not None:
        callbacks.append(EvaluatorCallback(evaluator, output_path))
        if callback is not None:
            callbacks.append(OriginalCallback(callback, evaluator))
        if output_path is not None:
            callbacks.append(SaveModelCallback(output_path, evaluator, save_best_model))
    trainer = CrossEncoderTrainer(
        model=self,
        args=CrossEncoderTrainingArguments(
            output_dir=_free_folder(Path("checkpoints")),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size,
            num_train_epochs=epochs,
            eval_strategy="steps" if evaluation_steps else "no",
            eval_steps=evaluation_steps,
            max_grad_norm=max_grad_norm,
            fp16=use_amp,
            disable_tqdm=not show_progress_bar,
            save_strategy="no",
        ),
        train_dataset=dataset,
        loss=_loss(self, loss_fct, activation_fct),
        evaluator=evaluator,
        optimizers=(optimizer, scheduler),
        callbacks=callbacks,
    )
    if callbacks:
        callbacks[0].trainer = trainer
    trainer.train()


def old_fit(self: Any, *args: Any, **kwargs: Any) -> None:
    """The same as `fit`; the peer keeps its older code under this name."""
    fit(self, *args, **kwargs)


class LogitsLoss(nn.Module):
    """A loss of logits and labels, such as torch's, as the trainer calls losses."""

    def __init__(
        self, model: Any, loss_fct: nn.Module, activation_fn: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.model = model
        self.loss_fct = loss_fct
        self.activation_fn = activation_fn

    def forward(
        self, inputs: list[list[Any]], labels: Tensor, prompt: str | None = None, task: Any = None
    ) -> Tensor:
        """inputs: queries and documents. labels: (num_pairs,)."""
        if len(inputs) != 2:
            raise InputError(f"fit() trains on pairs; the examples have {len(inputs)} texts.")
        logits = pair_logits(self.model, list(zip(*inputs, strict=True)), prompt=prompt, task=task)
        if logits.shape[1] == 1:
            logits, labels = logits.view(-1), labels.float()
        else:
            labels = labels.long()
        loss: Tensor = self.loss_fct(self.activation_fn(logits), labels)
        return loss


def _loss(
    model: Any, loss_fct: nn.Module | None, activation: Callable[[Tensor], Tensor]
) -> nn.Module:
    if loss_fct is not None:
        return LogitsLoss(model, loss_fct, activation)
    from mmrerank.training.losses import BinaryCrossEntropyLoss, CrossEntropyLoss

    kind: Any = BinaryCrossEntropyLoss if model.num_labels == 1 else CrossEntropyLoss
    loss: nn.Module = kind(model, activation_fn=activation)
    return loss


def _as_dataset(loader: DataLoader[Any]) -> Any:
    """The loader's examples in its order, read once, as columns of a Dataset."""
    from datasets import Dataset

    # Examples are no tensors; torch's own collating would fail on them.
    loader.collate_fn = lambda batch: batch
    examples = [example for batch in loader for example in batch]
    if not examples:
        raise InputError("train_dataloader gives no examples.")
    columns = zip(*(example.texts for example in examples), strict=True)
    table = {f"sentence_{number}": list(column) for number, column in enumerate(columns)}
    labels = [example.label for example in examples]
    # 0 is what an example has when no label was given.
    if any(isinstance(label, list) or label != 0 for label in labels):
        table["label"] = labels
    return Dataset.from_dict(table)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    named = list(model.named_parameters())

    def chosen(*, decays: bool) -> list[Any]:
        return [p for name, p in named if any(part in name for part in _NO_DECAY) is not decays]

    return [
        {"params": chosen(decays=True), "weight_decay": weight_decay},
        {"params": chosen(decays=False), "weight_decay": 0.0},
    ]


def _scheduler(optimizer: Optimizer, name: str, num_warmup: int, num_steps: int) -> Any:
    make: Any = transformers
    by_name: dict[str, Callable[[], Any]] = {
        "constantlr": lambda: make.get_constant_schedule(optimizer),
        "warmupconstant": lambda: make.get_constant_schedule_with_warmup(optimizer, num_warmup),
        "warmuplinear": lambda: make.get_linear_schedule_with_warmup(
            optimizer, num_warmup, num_steps
        ),
        "warmupcosine": lambda: make.get_cosine_schedule_with_warmup(
            optimizer, num_warmup, num_steps
        ),
        "warmupcosinewithhardrestarts": lambda: (
            make.get_cosine_with_hard_restarts_schedule_with_warmup(
                optimizer, num_warmup, num_steps
            )
        ),
    }
    if name.lower() not in by_name:
        raise InputError(f"scheduler={shorten(name)}: allowed are {', '.join(by_name)}")
    return by_name[name.lower()]()


def _free_folder(parent: Path) -> str:
    """ "<parent>/model", or the first of model_1, model_2, … that is not there or empty."""
    number = 0
    while True:
        folder = parent / (f"model_{number}" if number else "model")
        if not folder.exists() or not any(folder.iterdir()):
            return str(folder)
        number += 1


# ------------------------------------------------------------ collating, as older scripts do


def smart_batching_collate(self: Any, batch: Iterable[Any]) -> tuple[Any, Tensor]:
    """InputExamples to token ids on the model's device, and labels."""
    examples = list(batch)
    dtype = torch.float if self.num_labels == 1 else torch.long
    labels = torch.tensor([example.label for example in examples], dtype=dtype)
    tokens = smart_batching_collate_text_only(self, [example.texts for example in examples])
    return tokens, labels.to(self.device)


def smart_batching_collate_text_only(self: Any, batch: Iterable[Iterable[str]]) -> Any:
    """Lists of texts, [query, document] each, to token ids on the model's device."""
    columns = [[text.strip() for text in column] for column in zip(*batch, strict=True)]
    tokens = self.tokenizer(*columns, padding=True, truncation="longest_first", return_tensors="pt")
    return tokens.to(self.device)
