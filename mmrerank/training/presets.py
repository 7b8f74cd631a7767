"""Settings that were found to work, so that nobody guesses target modules or a learning rate."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from torch import nn

from mmrerank.errors import InputError, shorten
from mmrerank.specs import find_processor, list_processors
from mmrerank.specs.schema import LoraSpec
from mmrerank.training.adapters import require_peft
from mmrerank.training.towers import language_models, tower_modules

__all__ = ["PRESETS", "Preset", "lora_config", "multimodal_reranker", "pairs_with_negatives"]

PresetName: TypeAlias = Literal["family", "multimodal-reranker"]
PRESETS: tuple[str, ...] = ("family", "multimodal-reranker")


class Adaptable(Protocol):
    """A CrossEncoder, as far as it is asked here."""

    @property
    def pipeline(self) -> Any:
        """Holds the decisions, `spec`."""
        ...

    @property
    def transformers_model(self) -> Any:
        """The model that an adapter is for."""
        ...


@dataclass(frozen=True, slots=True)
class Preset:
    """A recipe: what to adapt, how to train, which loss, how many negatives a positive gets.

    lora: the argument of `add_adapter`. arguments: of CrossEncoderTrainingArguments. loss: a class
    of mmrerank.cross_encoder.losses, which takes the model.
    """

    lora: Any
    loss: type[nn.Module]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    num_negatives: int = 16

    def pairs(self, rows: Sequence[Mapping[str, Any]], *, seed: int = 0) -> Any:
        """Rows for the loss: see `pairs_with_negatives`."""
        return pairs_with_negatives(rows, num_negatives=self.num_negatives, seed=seed)


def lora_config(
    model: Adaptable, preset: PresetName = "family", *, towers: bool = False, **changes: Any
) -> Any:
    """A peft.LoraConfig for this model, for `add_adapter`.

    preset: "family" takes rank and layers from the model's processor folder, "multimodal-reranker"
    rank 16 and alpha 32 on every linear layer of the language model. towers: adapt the media
    towers too. changes: other fields of LoraConfig, such as r=8.
    Raises InputError for an unknown preset or a model without such layers, MissingExtra without
    peft.
    """
    if preset not in PRESETS:
        raise InputError(f"preset={shorten(preset)}: there are {', '.join(PRESETS)}")
    spec = _family_spec(model) if preset == "family" else LoraSpec()
    inner = model.transformers_model
    targets = _linear_names(inner, spec.target_modules)
    if towers:
        targets += [name for name, module in tower_modules(inner) if _is_linear(module)]
    if not targets:
        wanted = ", ".join(spec.target_modules) or "linear ones"
        raise InputError(
            f"{type(inner).__name__} has no layers named {wanted} in its language model. Pass "
            "target_modules=[...] to peft.LoraConfig yourself."
        )
    settings = {
        "target_modules": targets,
        "r": spec.r,
        "lora_alpha": spec.alpha,
        "lora_dropout": spec.dropout,
        # A new classifier must be trained whole: its first weights are random numbers.
        "modules_to_save": _classifier_names(inner) or None,
    }
    return require_peft().LoraConfig(**{**settings, **changes})


def multimodal_reranker(model: Adaptable, **changes: Any) -> Preset:
    """The published recipe for rerankers of a vision-language model: yes or no, with an adapter.

    Binary cross entropy on logit(yes) - logit(no), LoRA of rank 16 on the language model, learning
    rate 1e-4, 16 negatives a positive. It beat contrastive training where batches are small.
    Assumed: the batch size and the schedule.
    changes: arguments of CrossEncoderTrainingArguments that differ.
    """
    from mmrerank.training.losses import BinaryCrossEntropyLoss

    arguments = {
        "learning_rate": 1e-4,
        "num_train_epochs": 1,
        "per_device_train_batch_size": 17,  # a positive and its negatives
        "warmup_steps": 0.05,
        "lr_scheduler_type": "cosine",
        **changes,
    }
    return Preset(lora_config(model, "multimodal-reranker"), BinaryCrossEntropyLoss, arguments)


def pairs_with_negatives(
    rows: Sequence[Mapping[str, Any]], *, num_negatives: int = 16, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Labelled pairs: each row's positive, then negatives drawn for it.

    rows: {"query", "positive"} and, where there are mined ones, "negatives": a list. Too few of
    them are filled up with positives of other queries. Gives {"query", "document", "label"}.
    Raises InputError where a row has no negative and there is no other query to borrow from.
    """
    chooser = random.Random(seed)
    for index, row in enumerate(rows):
        yield {"query": row["query"], "document": row["positive"], "label": 1.0}
        chosen = list(row.get("negatives") or [])
        chosen = chooser.sample(chosen, num_negatives) if len(chosen) > num_negatives else chosen
        chosen += _borrowed(rows, index, num_negatives - len(chosen), chooser)
        if not chosen:
            raise InputError(f"rows[{index}] has no negatives, and no other query to borrow from")
        for document in chosen:
            yield {"query": row["query"], "document": document, "label": 0.0}


def _borrowed(
    rows: Sequence[Mapping[str, Any]], index: int, num_wanted: int, chooser: random.Random
) -> list[Any]:
    """Positives of other queries, each at most once; fewer where there are not as many."""
    query = rows[index]["query"]
    found: list[Any] = []
    for place in chooser.sample(range(len(rows)), min(len(rows), 4 * num_wanted + 1)):
        if len(found) >= num_wanted:
            break
        if place != index and rows[place]["query"] != query:
            found.append(rows[place]["positive"])
    return found


def _family_spec(model: Adaptable) -> LoraSpec:
    family = model.pipeline.spec.family
    known = {spec.name for spec in list_processors()}
    return find_processor(family).lora if family in known else LoraSpec()


def _linear_names(model: Any, last_names: tuple[str, ...]) -> list[str]:
    inside = {id(module) for part in language_models(model) for module in part.modules()}
    return [
        name
        for name, module in model.named_modules()
        if id(module) in inside
        and _is_linear(module)
        and (not last_names or name.rpartition(".")[2] in last_names)
    ]


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


def _classifier_names(model: Any) -> list[str]:
    """Modules of a sequence classifier beside its base model."""
    if not type(model).__name__.endswith("ForSequenceClassification"):
        return []
    return [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and any(True for _ in module.parameters())
    ]
