"""What a model says about itself: the card saved with it, the facts for `mmrerank info`."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from mmrerank.heads import LogitScore, activation_name
from mmrerank.specs import BudgetSpec
from mmrerank.types import LoadedDocument, LoadedPair, Text

if TYPE_CHECKING:
    from mmrerank.cross_encoder.settings import Settings

__all__ = ["describe", "model_card", "versions"]

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
        "prompts": dict(model.prompts),
        "default_prompt_name": model.default_prompt_name,
        "prompt_example": model.pipeline.encoder.prompt(
            LoadedPair(
                0, *sides, instruction=model.prompts.get(model.default_prompt_name or "") or None
            )
        ),
        "sources": dict(spec.sources),
    }


def _pixels(budget: BudgetSpec, kind: Literal["image", "video"]) -> Any:
    """[least, most] pixels, or what else the media processor is told, or who decides."""
    pixels = budget.image if kind == "image" else budget.video
    if pixels is not None:
        return [pixels.min_pixels, pixels.max_pixels]
    told = budget.processor_kwargs.get(kind, {}).get("size")
    return list(told.values()) if told else "as the checkpoint's media processor says"


def model_card(model: Settings, name: str, train_datasets: list[str]) -> str:
    """README.md of a saved model."""
    facts = describe(model)
    head = facts["head"]
    tags = ["cross-encoder", "reranker", "mmrerank", "sentence-transformers"]
    header = {
        "library_name": "sentence-transformers",
        "pipeline_tag": "text-ranking",
        "tags": tags,
        **({"datasets": train_datasets} if train_datasets else {}),
    }
    front = "\n".join(
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in header.items()
    )
    return f"""---
{front}
---

# {name}

A reranker: it reads a query and a document together and scores how well they match.

| | |
|---|---|
| Architecture | {facts["architecture"]}, {facts["parameters"]:,} parameters |
| Takes | {", ".join(facts["modalities"])} |
| Head | {head["kind"]}, {head["num_labels"]} label(s), then {facts["activation"]} |
| Longest prompt | {facts["max_length"]:,} tokens |

## Usage

```python
from mmrerank import CrossEncoder

model = CrossEncoder({json.dumps(name)})
model.predict([("a query", "a document")])
```

sentence-transformers loads it too: `from sentence_transformers import CrossEncoder`.
"""
