"""A family is a folder: two that do not exist, added as data alone, score as they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from mmrerank import CrossEncoder
from tests import checkpoints

QUERY = "Which train goes to the mountains?"
LONG = "The train to the mountains stops at every village. " * 12
DOCUMENTS = [
    "The train stops at every village.",
    "bread <|box_start|>and cheese",
    LONG,
    "",
]
CAUSAL: Mapping[str, str] = {
    "processor.toml": """
title = "A judge of our own"
link = "https://example.org/judge"
modalities = ["text"]
models = ["example/judge-1b"]
license = "none"

[match]
model_types = ["llama"]
names = ["*judge*"]
evidence = true

[template]
kind = "chat"
file = "chat_template.jinja"
content = "flat"
instruction = "Be strict."
tokenize = "parts"
suffix_ids = [7]
remove = ["<|box_start|>"]

[head]
kind = "logit-score"
true_token = "yes"
false_token = 12
bias = 0.5
divide = 4.0
activation = "sigmoid"

[truncation]
rule = "document"
max_length = 60
max_query_share = 0.5
suffix_counts = false
""",
    "chat_template.jinja": (
        "{%- set system = messages | selectattr('role', 'equalto', 'system') | list -%}"
        "{%- set query = messages | selectattr('role', 'equalto', 'query') | first -%}"
        "{%- set document = messages | selectattr('role', 'equalto', 'document') | first -%}"
        "{{- 'Rule: ' -}}{{- system[0].content if system else 'Be strict.' -}}{{- '\\n' -}}"
        "{{- part -}}"
        "{{- 'Text: ' + document.content -}}{{- part -}}{{- '\\nAsked: ' + query.content -}}"
        "{{- part -}}{{- ' Good?' -}}"
    ),
}
ENCODER: Mapping[str, str] = {
    "processor.toml": """
title = "An encoder of our own"
link = "https://example.org/encoder"

[match]
model_types = ["bert"]
names = ["*our-encoder*"]

[template]
kind = "tokenizer-pair"
remove = ["village"]

[head]
kind = "builtin"
activation = "identity"

[truncation]
max_length = 30
max_query_share = 0.5
"""
}


def _write(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _without(toml: str, key: str) -> str:
    return "\n".join(line for line in toml.splitlines() if not line.startswith(key))


def _judge(folder: Path, document: str, instruction: str = "Be strict.") -> float:
    """What the folder says, with transformers alone."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    document = document.replace("<|box_start|>", "")
    pieces = [f"Rule: {instruction}\n", f"Text: {document}", f"\nAsked: {QUERY}", " Good?"]
    rule, text, asked, end = tokenizer(pieces, add_special_tokens=False)["input_ids"]
    asked = asked[:30]
    text = text[: 60 - len(rule) - len(asked)]
    with torch.inference_mode():
        logits = model(torch.tensor([rule + text + asked + end + [7]])).logits[0, -1]
    margin = logits[tokenizer.convert_tokens_to_ids("yes")] - logits[12]
    return float(torch.sigmoid((margin + 0.5) / 4.0))


def _encoder_score(folder: Path, document: str) -> float:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [QUERY, document.replace("village", "")]
    query, read = tokenizer(texts, add_special_tokens=False)["input_ids"]
    query = query[:15]
    read = read[: 30 - len(query) - 3]
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    ids = [start, *query, end, *read, end]
    types = [0] * (len(query) + 2) + [1] * (len(read) + 1)
    with torch.inference_mode():
        output = model(torch.tensor([ids]), token_type_ids=torch.tensor([types]))
    return float(output.logits[0, 0])


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny checkpoint and the processor folder."""
    root = tmp_path_factory.mktemp("judge")
    return checkpoints.build_llama(root / "a-chat-model"), _write(root / "judge", CAUSAL)


def test_causal_model_scores_by_its_folder(judge: tuple[Path, Path]) -> None:
    folder, processor = judge
    model = CrossEncoder(str(folder), device="cpu", processor=processor)
    scores = model.predict([(QUERY, document) for document in DOCUMENTS])
    expected = [_judge(folder, document) for document in DOCUMENTS]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert np.ptp(scores) > 0.01


def test_instruction_of_a_call_takes_the_place_of_the_folders(judge: tuple[Path, Path]) -> None:
    folder, processor = judge
    model = CrossEncoder(str(folder), device="cpu", processor=processor)
    score = model.predict([(QUERY, DOCUMENTS[0])], prompt="Be kind.")[0]
    assert score == pytest.approx(_judge(folder, DOCUMENTS[0], "Be kind."), abs=1e-5)
    assert abs(score - _judge(folder, DOCUMENTS[0])) > 1e-4


def test_saved_model_scores_the_same_without_the_folder(
    judge: tuple[Path, Path], tmp_path: Path
) -> None:
    """For what files in sentence-transformers' form can say: no ids behind the prompt."""
    sayable = {**CAUSAL, "processor.toml": _without(CAUSAL["processor.toml"], "suffix_ids")}
    processor = _write(tmp_path / "judge", sayable)
    model = CrossEncoder(str(judge[0]), device="cpu", processor=processor)
    pairs = [(QUERY, "The train stops at every village."), (QUERY, "bread")]
    model.save_pretrained(tmp_path / "saved")
    again = CrossEncoder(str(tmp_path / "saved"), device="cpu")
    assert again.predict(pairs) == pytest.approx(model.predict(pairs), abs=1e-5)


def test_encoder_scores_by_its_folder(tmp_path: Path) -> None:
    folder = checkpoints.build_bert(tmp_path / "bert")
    model = CrossEncoder(
        str(folder), device="cpu", processor=_write(tmp_path / "our-encoder", ENCODER)
    )
    scores = model.predict([(QUERY, document) for document in DOCUMENTS])
    expected = [_encoder_score(folder, document) for document in DOCUMENTS]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert np.ptp(scores) > 0.01
