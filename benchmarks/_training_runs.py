"""One library's training run, made anew before each turn."""

from __future__ import annotations

import ctypes
import gc
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sentence_transformers as peer
import torch
from sentence_transformers.cross_encoder import losses as peer_losses
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import PrinterCallback

from benchmarks._measure import peak_bytes_of
from benchmarks._training_works import Work
from mmrerank import CrossEncoder
from mmrerank.cross_encoder import losses as our_losses
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments
from mmrerank.training.presets import lora_config

__all__ = ["OURS", "PEER", "Contestant", "Library"]


@dataclass(frozen=True, slots=True)
class Library:
    """Names of one library."""

    model: Any
    trainer: Any
    args: Any
    losses: Any


OURS = Library(CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments, our_losses)
PEER = Library(
    peer.CrossEncoder,
    peer.CrossEncoderTrainer,
    peer.CrossEncoderTrainingArguments,
    peer_losses,
)


@dataclass(slots=True)
class Contestant:
    """The same run in one library; weights are those of the checkpoint again in each turn.

    packed: what the argument of that name is; None for the peer, who has none.
    losses: of the latest turn, one a step. peak_bytes: of each turn, beside model and data.
    """

    library: Library
    folder: Path
    work: Work
    dataset: Any
    packed: bool | None = None
    losses: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    trainer: Any = None

    def prepare(self) -> None:
        """Model, loss and trainer, made anew; not part of the turn."""
        self.release()
        torch.manual_seed(0)
        model = self.library.model(str(self.folder), device="cpu")
        if self.work.has_lora:
            model.add_adapter(lora_of(self.folder))
        without_dropout(model)
        self.trainer = self.library.trainer(
            model=model,
            args=self._arguments(),
            train_dataset=self.dataset,
            loss=getattr(self.library.losses, self.work.loss)(model),
        )
        self.trainer.remove_callback(PrinterCallback)

    def __call__(self) -> None:
        """The turn."""
        self.peak_bytes.append(peak_bytes_of(self.trainer.train))
        history = self.trainer.state.log_history
        self.losses = [entry["loss"] for entry in history if "loss" in entry]

    def release(self) -> None:
        """Let model and optimizer go, so that the other's peak is its own."""
        self.trainer = None
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)

    def _arguments(self) -> Any:
        own = {} if self.packed is None else {"packed": self.packed}
        order = {"batch_sampler": in_order} if self.work.in_order else {}
        return self.library.args(
            output_dir=str(self.folder.parent / "runs"),
            max_steps=self.work.num_steps,
            per_device_train_batch_size=self.work.batch_size,
            learning_rate=self.work.learning_rate,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=0,
            **own,
            **order,
        )


def in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> BatchSampler:
    """Batches of neighbours."""
    return BatchSampler(SequentialSampler(dataset), batch_size, drop_last)


def lora_of(folder: Path) -> Any:
    """The preset's adapter, for either library: their layers have the same names."""
    ours = CrossEncoder(str(folder), device="cpu")
    return lora_config(ours, "multimodal-reranker", lora_dropout=0.0)


def without_dropout(model: Any) -> None:
    """So that losses can be compared: the two draw random numbers in different order."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def final_loss(losses: list[float]) -> float:
    """Mean of the last quarter of the steps, one at least."""
    return statistics.fmean(losses[-max(1, len(losses) // 4) :])


@contextmanager
def counted_tokens(model: CrossEncoder) -> Iterator[list[int]]:
    """Lengths of all prompts that are encoded meanwhile, without padding, one by one."""
    pipeline: Any = model.pipeline
    encode = pipeline.encode
    lengths: list[int] = []

    def counting(pairs: Any) -> Any:
        groups, features = encode(pairs)
        lengths.extend(group.num_tokens for group in groups)
        return groups, features

    pipeline.encode = counting
    try:
        yield lengths
    finally:
        del pipeline.encode
