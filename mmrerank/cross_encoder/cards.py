"""What a model says about itself: the card saved with it, the facts for `mmrerank info`."""

from __future__ import annotations

import contextlib
import copy
import logging
import platform
import re
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmrerank.errors import MMRerankError
from mmrerank.heads import LogitScore, activation_name
from mmrerank.specs import BudgetSpec, HeadSpec, ListwiseSpec, list_processors
from mmrerank.training.cards import CardFacts, CrossEncoderModelCardData, card_text
from mmrerank.types import LoadedDocument, LoadedPair, Text

if TYPE_CHECKING:
    from mmrerank.cross_encoder.settings import Settings
    from mmrerank.cross_encoder.stored import Stored

__all__ = ["describe", "model_card", "versions"]

logger = logging.getLogger(__name__)

# The newest form of the files that is written; readers compare it with their own version.
_ST_FORM = "6.2.0"


def versions() -> dict[str, str]:
    """Versions that a saved model names."""
    return {
        "mmrerank": version("mmrerank"),
        "pytorch": version("torch"),
        "sentence_transformers": _ST_FORM,
        "transformers": version("transformers"),
    }


def describe(model: Settings) -> dict[str, Any]:
    """Plain values: name, family, modalities, head, budgets, an example prompt, sources."""
    spec = model.pipeline.spec
    sides = (LoadedDocument((Text("a query"),)), LoadedDocument((Text("a document"),)))
    score = next((module for module in model if isinstance(module, LogitScore)), None)
    head: dict[str, Any] = {"kind": spec.head.kind, "num_labels": model.num_labels}
    if score is not None:
        ids = {"true": score.true_token_id, "false": score.false_token_id}
        head["tokens"] = {
            name: {"id": i, "text": model.tokenizer.convert_ids_to_tokens(i)}
            for name, i in ids.items()
            if i is not None
        }
    decode = spec.budget.decode
    return {
        "model": spec.name,
        "family": spec.family,
        "architecture": type(model.model).__name__,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": str(model.device),
        "modalities": model.modalities,
        "head": head,
        "activation": activation_name(model.activation_fn),
        "scale": _scale(spec.head, activation_name(model.activation_fn)),
        "license": _license(spec.family),
        "max_length": model.max_seq_length,
        "truncation": spec.truncation.rule,
        "budget": {
            "image": _pixels(spec.budget, "image"),
            "video": {
                "fps": decode.fps,
                "frames": [decode.min_frames, decode.max_frames],
                "pixels": _pixels(spec.budget, "video"),
            },
            "audio": {"sampling_rate_hz": decode.sampling_rate_hz, "max_s": decode.max_audio_s},
        },
        "template": spec.template.kind,
        "listwise": None if spec.listwise is None else _listwise(spec.listwise),
        "encoder_decoder": None if spec.encoder_decoder is None else asdict(spec.encoder_decoder),
        "prompts": dict(model.prompts),
        "default_prompt_name": model.default_prompt_name,
        "prompt_example": model.pipeline.encoder.prompt(
            LoadedPair(
                0, *sides, instruction=model.prompts.get(model.default_prompt_name or "") or None
            )
        ),
        "sources": dict(spec.sources),
    }


def _license(family: str) -> str | None:
    """Licence of the published weights of a family, None where that is not on record."""
    known = {folder.name: folder.license for folder in list_processors()}
    return known.get(family) or None


def _scale(head: HeadSpec, activation: str) -> str:
    """What a score in force is: "similarity", "rank", "probability", "logit", or by an own
    activation.
    """
    if head.scales in (("similarity",), ("rank",)):
        return head.scales[0]
    name = activation.rsplit(".", 1)[-1]
    known = {"Sigmoid": "probability", "Softmax": "probability", "Identity": "logit"}
    return known.get(name, f"logit after {name}")


def _listwise(spec: ListwiseSpec) -> dict[str, Any]:
    """What a block holds, and what follows for the scores."""
    return {
        "max_documents": spec.max_documents,
        "max_tokens": spec.max_tokens,
        "scores": "depend on the other documents of the same query",
    }


def _pixels(budget: BudgetSpec, kind: Literal["image", "video"]) -> Any:
    """[least, most] pixels, or what else the media processor is told, or who decides."""
    pixels = budget.image if kind == "image" else budget.video
    if pixels is not None:
        return [pixels.min_pixels, pixels.max_pixels]
    told = budget.processor_kwargs.get(kind, {}).get("size")
    return list(told.values()) if told else "as the checkpoint's media processor says"


def model_card(model: Stored, name: str, train_datasets: list[str]) -> str:
    """README.md of a saved model. train_datasets: ids on the hub, beside those of the card data."""
    given: Any = model.model_card_data
    data: CrossEncoderModelCardData = copy.deepcopy(given) or CrossEncoderModelCardData()
    data.register_model(model)
    data.train_datasets += [{"name": id, "id": id} for id in train_datasets]
    facts = describe(model)
    if data.is_trained and data.base_model is None and _is_hub_id(facts["model"]):
        data.set_base_model(facts["model"])
    head = facts["head"]
    told = CardFacts(
        facts={
            "Architecture": f"{facts['architecture']}, {facts['parameters']:,} parameters",
            "Takes": ", ".join(facts["modalities"]),
            "Head": f"{head['kind']}, {head['num_labels']} label(s), then {facts['activation']}",
            "Longest prompt": f"{facts['max_length']:,} tokens",
        },
        versions={"python": platform.python_version(), **versions(), **_training_versions()},
        scores=_scores(model, data.usage_examples),
        takes_media=[kind for kind in ("image", "audio", "video") if kind in facts["modalities"]],
    )
    return card_text(data, told, name)


def _scores(model: Any, pairs: list[tuple[str, str]]) -> str | None:
    """Scores of the usage example as they are printed. The model keeps its mode: a checkpoint is
    saved in mid-training.
    """
    if not pairs:
        return None
    was_training = model.training
    try:
        with np.printoptions(precision=4):
            return str(model.predict(pairs, show_progress_bar=False))
    except MMRerankError as error:
        logger.warning("the model card shows no scores: %s", error)
        return None
    finally:
        model.train(was_training)


def _is_hub_id(name: str) -> bool:
    """Whether a name is owner/name and no folder of this machine."""
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not Path(name).exists()


def _training_versions() -> dict[str, str]:
    """Of the libraries that training uses, as far as they are installed."""
    found = {}
    for name in ("accelerate", "datasets", "peft", "tokenizers"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
