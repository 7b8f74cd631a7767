"""Checkpoint files written by hand: small json folders without weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmrerank.specs import CheckpointFacts, read_facts

BERT = {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
QWEN3 = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
QWEN3_VL = {"model_type": "qwen3_vl", "architectures": ["Qwen3VLForConditionalGeneration"]}
JUDGE = "Judge whether the Document meets the requirements {{ messages }}"
LOGIT_SCORE_MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "x.Transformer"},
    {"idx": 1, "name": "1", "path": "1_LogitScore", "type": "x.LogitScore"},
]


def facts_of(folder: Path, files: dict[str, Any], *, name: str | None = None) -> CheckpointFacts:
    """Write json (or text) files into `folder` and read them as a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, value in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        text = value if isinstance(value, str) else json.dumps(value)
        (folder / path).write_text(text, encoding="utf-8")
    return read_facts(name or str(folder), folder)


def logit_score_files(**transformer: Any) -> dict[str, Any]:
    """Files of a text reranker in the peer's form."""
    return {
        "config.json": QWEN3,
        "modules.json": LOGIT_SCORE_MODULES,
        "1_LogitScore/config.json": {"true_token_id": 7, "false_token_id": 3},
        "sentence_bert_config.json": {
            "transformer_task": "text-generation",
            "modality_config": {"text": {}, "message": {"format": "flat"}},
            **transformer,
        },
    }
