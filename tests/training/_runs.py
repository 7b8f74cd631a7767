"""The same training run in both libraries: model, data and arguments as tests vary them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentence_transformers as peer
import torch
from datasets import Dataset
from sentence_transformers.cross_encoder import losses as peer_losses

from mmrerank import CrossEncoder
from mmrerank.cross_encoder import losses as our_losses
from mmrerank.cross_encoder.trainer import CrossEncoderTrainer
from mmrerank.cross_encoder.training_args import CrossEncoderTrainingArguments


@dataclass(frozen=True)
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

LossOf = Callable[[Any, Any], Any]  # (losses of a library, model) -> loss

TOPICS = ["the harbour", "a garden", "the city", "the river", "bread", "the old clock"]


def pairs(num_rows: int = 40) -> Dataset:
    """query, document, label."""
    return Dataset.from_dict(
        {
            "query": [f"What is known about {TOPICS[i % 6]} number {i}?" for i in range(num_rows)],
            "document": [
                f"{TOPICS[(i + i % 2) % 6]} was built in {1900 + i}. " * (1 + i % 3)
                for i in range(num_rows)
            ],
            "label": [float(1 - i % 2) for i in range(num_rows)],
        }
    )


def positives(num_rows: int = 40) -> Dataset:
    """query, positive, negative."""
    rows = pairs(num_rows)
    return Dataset.from_dict(
        {
            "anchor": rows["query"],
            "positive": [f"{TOPICS[i % 6]} was built in {1900 + i}." for i in range(num_rows)],
            "negative": [f"{TOPICS[(i + 1) % 6]} has {i} doors." for i in range(num_rows)],
        }
    )


def lists(num_rows: int = 40) -> Dataset:
    """query, docs, labels; lists of three and four."""
    return Dataset.from_dict(
        {
            "query": pairs(num_rows)["query"],
            "docs": [
                [f"{TOPICS[(i + k) % 6]} in {1900 + k * i}." for k in range(3 + i % 2)]
                for i in range(num_rows)
            ],
            "labels": [[float(k == 0) for k in range(3 + i % 2)] for i in range(num_rows)],
        }
    )


def load(library: Library, folder: Path) -> Any:
    """A model whose forward pass draws no random numbers."""
    model = library.model(str(folder), device="cpu")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def arguments(library: Library, output_dir: Path, **changed: Any) -> Any:
    """Ten steps with warm-up and weight decay, unless changed; padded, as the peer's are."""
    own = {"packed": False} if library is OURS else {}
    return library.args(
        **{
            **own,
            "output_dir": str(output_dir),
            "max_steps": 10,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-3,
            "weight_decay": 0.1,
            "warmup_steps": 3,
            "use_cpu": True,
            "report_to": "none",
            "save_strategy": "no",
            "logging_steps": 1,
            "disable_tqdm": True,
            "seed": 12,
            **changed,
        }
    )


def train(
    library: Library,
    folder: Path,
    output_dir: Path,
    dataset: Any,
    loss_of: Any,
    *,
    resume: Any = None,
    **changed: Any,
) -> Any:
    """The trainer after training. loss_of: a LossOf, or a dict of them."""
    model = load(library, folder)
    if isinstance(loss_of, dict):
        loss: Any = {name: one(library.losses, model) for name, one in loss_of.items()}
    else:
        loss = loss_of(library.losses, model)
    trainer = library.trainer(
        model=model,
        args=arguments(library, output_dir, **changed),
        train_dataset=dataset,
        loss=loss,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def losses_of(trainer: Any) -> list[float]:
    """Logged losses, one a step."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def worst_difference(ours: Any, theirs: Any) -> float:
    """Greatest difference of two models' weights, by name.

    Biases of keys are left out: a constant added to all keys changes no attention, so their
    gradient is rounding alone, which Adam makes steps of full size from.
    """
    first, second = ours.state_dict(), theirs.state_dict()
    assert first.keys() == second.keys()
    compared = [name for name in first if not name.endswith("key.bias")]
    assert compared
    return max(float((first[name] - second[name]).abs().max()) for name in compared)
